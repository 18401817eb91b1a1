"""What the stream would refuse again is not sent again."""

from __future__ import annotations

import pytest

from feature_store.settings import Settings
from feature_store.topics import ITEMS, PROFILES
from infra.dead_letters import refusal
from infra.traffic.message import Message


@pytest.mark.parametrize("topic", [ITEMS.name, PROFILES.name])
@pytest.mark.parametrize(
    ("key", "reason"), [(b"", "key: null"), (b"\xff", "key: not UTF-8"), (b"milk", None)]
)
def test_a_deletion_of_nobody_knows_whom_is_refused(
    topic: str, key: bytes, reason: str | None
) -> None:
    assert refusal(Settings(), Message(topic, key, None, 0), 0) == reason
