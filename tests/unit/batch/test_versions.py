"""Which description of an item held at a moment of the past."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pyarrow as pa
import pytest

from batch.decoding import SCHEMAS
from batch.history import History
from batch.learn import Teacher
from batch.versions import OPEN, as_of, dated
from feature_store.topics import ITEMS
from tests.builders import DAY, NOON
from tests.unit.batch.builders import event
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
