"""Which description of an item, and which profile of a user, held at a moment of the past."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from batch.decoding import SCHEMAS
from batch.history import History
from batch.lake import Lake
from batch.learn import Teacher
from batch.versions import OPEN, as_of, dated, versions
from feature_store.settings import Settings
from feature_store.topics import ITEMS, PROFILES
from tests.builders import DAY, NOON
from tests.unit.batch.builders import event
from tests.unit.batch.days import decoded, land
from tests.unit.batch.market import teacher


def said(item: str, at: int, title: str | None) -> dict[str, object]:
    """A description at a time, or a deletion."""
    raw = title.encode() if title else None
    place = {"partition": 0, "offset": at, "append_time": at}
    return {**place, "item_id": item, "title": title, "raw": raw, "deleted": title is None}


def history(*rows: dict[str, object]) -> pa.Table:
    return dated(pa.Table.from_pylist(list(rows), schema=SCHEMAS[ITEMS.name]), "item_id")


def titles(table: pa.Table, moment: int) -> list[str]:
    return as_of(table, moment)["title"].to_pylist()


def test_the_version_that_held_then_is_found() -> None:
    told = history(said("milk", 20, "Whole milk"), said("tea", 10, "Tea"), said("milk", 10, "Milk"))
    assert titles(told, 19) == ["Milk", "Tea"]
    assert titles(told, 20) == ["Whole milk", "Tea"]


def test_the_first_version_holds_from_ever_and_the_last_for_ever() -> None:
    told = history(said("milk", 10, "Milk"), said("milk", 20, "Whole milk"))
    assert titles(told, 0) == ["Milk"]
    assert titles(told, OPEN - 1) == ["Whole milk"]


def test_a_deleted_item_is_gone_until_it_is_described_again() -> None:
    told = history(said("tea", 10, "Tea"), said("tea", 20, None), said("tea", 30, "Tea"))
    assert [titles(told, moment) for moment in (19, 20, 29, 30)] == [["Tea"], [], [], ["Tea"]]


def test_the_same_description_again_is_no_new_version() -> None:
    told = history(*(said("milk", at, "Milk") for at in range(10, 15)), said("milk", 15, "New"))
    assert told.select(["valid_from", "valid_until"]).to_pylist() == [
        {"valid_from": 0, "valid_until": 15}, {"valid_from": 15, "valid_until": OPEN},
    ]  # fmt: skip


def test_nothing_said_is_no_history() -> None:
    assert len(as_of(history(), 10)) == 0


class Members:
    """The landed profiles of a shop; user "0" is the one whom a tombstone erases."""

    def __init__(self, root: Path) -> None:
        self.settings, self.lake = Settings(lake=root), Lake(root)

    def say(self, at: int, *profiles: dict[str, Any] | None) -> None:
        """Profiles that arrive at a time; None is a tombstone, if it comes first."""
        first = self.lake.landed(PROFILES.name).offsets.get("0", 0)
        land(self.lake, PROFILES.name, decoded(PROFILES.name, profiles, at, first))

    def as_of(self, moment: int, column: str = "segment") -> dict[str, Any]:
        """What held of each user."""
        held = as_of(versions(self.settings, self.lake, PROFILES), moment)
        return dict(zip(held["user_id"].to_pylist(), held[column].to_pylist(), strict=True))


@pytest.fixture
def members(tmp_path: Path) -> Members:
    return Members(tmp_path)


def test_a_profile_is_read_as_it_was_then(members: Members) -> None:
    members.say(10, {"user_id": "0", "segment": "new"}, {"user_id": "1", "segment": "family"})
    members.say(20, {"user_id": "0", "segment": "regular"})
    members.say(30, {"user_id": "0", "segment": "regular", "consent": False})
    assert members.as_of(0) == members.as_of(19) == {"0": "new", "1": "family"}
    assert members.as_of(20) == members.as_of(OPEN - 1) == {"0": "regular", "1": "family"}
    assert members.as_of(29, "consent") == {"0": True, "1": True}
    assert members.as_of(30, "consent") == {"0": False, "1": True}


def test_a_change_of_what_only_a_store_keeps_is_a_version_too(members: Members) -> None:
    """A profile's language has no column: its bytes tell two versions apart."""
    for at, language in ((10, "de"), (20, "de"), (30, "fr")):
        members.say(at, {"user_id": "0", "language": language})
    told = versions(members.settings, members.lake, PROFILES)
    assert told["valid_from"].to_pylist() == [0, 30]
    assert told["valid_until"].to_pylist() == [30, OPEN]
    assert [b'"fr"' in raw for raw in told["raw"].to_pylist()] == [False, True]


def test_an_erased_user_has_no_profile_until_a_new_one_comes(members: Members) -> None:
    members.say(10, {"user_id": "0", "segment": "new"}, {"user_id": "1", "segment": "family"})
    members.say(20, None)
    members.say(30, {"user_id": "0", "segment": "back"})
    assert members.as_of(19) == {"0": "new", "1": "family"}
    assert members.as_of(20) == members.as_of(29) == {"1": "family"}
    assert members.as_of(30) == {"0": "back", "1": "family"}


def test_a_profile_that_was_refused_is_no_version(members: Members) -> None:
    members.say(10, {"user_id": "0", "segment": "new"})
    members.say(20, {"user_id": "0", "segment": 7})
    assert versions(members.settings, members.lake, PROFILES)["segment"].to_pylist() == ["new"]
    assert members.as_of(20) == {"0": "new"}


def test_sources_of_a_cut_know_items_as_they_were_described_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = (event("ann", "milk", 0), event("ann", "milk", 5 * DAY))
    told = history(said("milk", 10, "Milk"), said("milk", NOON + 2 * DAY, "Whole milk"))
    past = History.build(events, {"milk": {"title": "Whole milk"}}, told=told)
    fitted = fitted_by(monkeypatch, teacher(past))
    assert fitted(NOON + 3 * DAY) is fitted(past.end) is past
    before = fitted(NOON + DAY)
    assert [text.title for text in before.items.texts] == ["Milk"]
    assert before.items.ids == past.items.ids


def test_of_an_item_that_nobody_had_heard_of_a_cut_knows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Described later, one was bought before and the other was not: the words of one are known."""
    events = (event("ann", "milk", 0), event("ann", "caviar", 5 * DAY))
    late = NOON + 4 * DAY
    told = history(said("milk", late, "Milk"), said("caviar", late, "Caviar"))
    past = History.build(events, {"milk": {"title": "Milk"}, "caviar": {"title": "Caviar"}},
                         told=told)  # fmt: skip
    fitted = fitted_by(monkeypatch, teacher(past))
    then = fitted(NOON + DAY).items
    assert dict(zip(then.ids, (text.title for text in then.texts), strict=True)) == {
        "milk": "Milk", "caviar": "",
    }  # fmt: skip
    assert fitted(late + 1) is past


def fitted_by(monkeypatch: pytest.MonkeyPatch, learned: Teacher) -> Callable[[int], History]:
    """What a teacher fits at a cut."""
    monkeypatch.setattr("batch.learn.fit", lambda spark, declaration, past, *rest: past)
    return cast("Callable[[int], History]", learned.fit)
