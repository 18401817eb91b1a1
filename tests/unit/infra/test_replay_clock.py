"""The demo's clock is chosen once per home, and pacing hands messages on when they are due."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from infra.traffic.clock import FILE, ClockError, demo_clock
from infra.traffic.message import Message
from infra.traffic.pace import paced

DATA_ENDS_AT = 1_514_779_280_000
NOW = 1_795_257_858_385


def test_the_data_ends_at_the_moment_the_clock_was_chosen(tmp_path: Path) -> None:
    clock = demo_clock(tmp_path, DATA_ENDS_AT, NOW)
    assert DATA_ENDS_AT + clock.shift_ms == NOW


def test_a_later_replay_in_the_same_home_uses_the_same_shift(tmp_path: Path) -> None:
    first = demo_clock(tmp_path, DATA_ENDS_AT, NOW)
    assert demo_clock(tmp_path, DATA_ENDS_AT, NOW + 3_600_000) == first


def test_another_home_has_a_clock_of_its_own(tmp_path: Path) -> None:
    first = demo_clock(tmp_path / "one", DATA_ENDS_AT, NOW)
    assert demo_clock(tmp_path / "two", DATA_ENDS_AT, NOW + 1) != first


def test_nothing_but_the_clock_is_left_in_the_home(tmp_path: Path) -> None:
    demo_clock(tmp_path, DATA_ENDS_AT, NOW)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_damaged_clock_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"shift_ms":')
    with pytest.raises(ClockError, match="Delete the file"):
        demo_clock(tmp_path, DATA_ENDS_AT, NOW)


def test_a_clock_of_other_data_is_refused(tmp_path: Path) -> None:
    demo_clock(tmp_path, DATA_ENDS_AT, NOW)
    with pytest.raises(ClockError, match="other data"):
        demo_clock(tmp_path, DATA_ENDS_AT + 1, NOW)


class FakeTime:
    """A clock that only moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def at(seconds: float) -> Message:
    return Message("user-interactions", b"u1", b"{}", NOW + int(seconds * 1000))


def moments(
    messages: Iterable[Message],
    rate: float | None = None,
    speed: float | None = None,
    origin_ms: int | None = None,
) -> list[float]:
    time = FakeTime()
    due = paced(messages, rate, speed, origin_ms, clock=lambda: time.now, sleep=time.sleep)
    return [round(time.now, 6) for _ in due]


def test_at_a_rate_messages_are_evenly_spaced() -> None:
    assert moments([at(0), at(100), at(100)], rate=4) == [0, 0.25, 0.5]


def test_time_compression_divides_the_gaps() -> None:
    assert moments([at(0), at(60), at(90)], speed=60) == [0, 1, 1.5]


def test_live_messages_never_leave_before_they_happen() -> None:
    assert moments([at(2), at(3)], speed=1, origin_ms=NOW) == [2, 3]


def test_at_full_speed_nothing_waits() -> None:
    assert moments([at(0), at(500)]) == [0, 0]


def test_a_rate_and_a_speed_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        moments([at(0)], rate=1, speed=1)
