"""What the night's own code fits at a cut knows nothing of the cut or later, in any source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from batch.fit import fit, fit_content
from batch.history import History
from batch.recipe import Recipe
from batch.session import session
from feature_store.events import Interaction
from models.als import Rule
from models.interactions import Interactions
from models.sources import Sources
from tests.builders import DAY, NOON
from tests.unit.batch.builders import DECLARATION, event

CUT = NOON + 20 * DAY
RECIPE = Recipe(als=Rule(4, 5.0, 0.05, 2))
PEOPLE, ITEMS = 12, 9
DESCRIBED = {f"i{n}": {"title": f"Thing {n}", "category": [f"c{n % 3}"]} for n in range(ITEMS)}
#: Everybody comes every other day and buys two things.
KNOWN = [
    event(f"p{person}", f"i{(person + turn + more) % ITEMS}", (2 * turn + person % 2) * DAY)
    for person in range(PEOPLE)
    for turn in range(ITEMS)
    for more in (0, 2)
]
#: From the cut on everybody buys other things together, at another price, and somebody is new.
LATER = [
    event(f"p{person}", f"i{(person + more) % ITEMS}", (20 + person) * DAY, price=900)
    for person in range(PEOPLE + 1)
    for more in (0, 1)
]


def fitted(*events: Interaction) -> Sources:
    past = History.build(events, DESCRIBED)
    return fit(session("spec"), DECLARATION, past, fit_content(past), RECIPE, CUT)


def learned(value: object, name: str) -> Iterator[tuple[str, Any]]:
    """Every array and number that a source is made of, by name."""
    if is_dataclass(value):
        for field in fields(value):
            yield from learned(getattr(value, field.name), f"{name}.{field.name}")
    else:
        yield name, value if isinstance(value, np.ndarray) else repr(value)


def differing(one: Sources, other: Sources) -> set[str]:
    """The sources in which two fits differ."""
    names = {field.name for field in fields(Sources)}
    return {name for name in names if not _same(getattr(one, name), getattr(other, name))}


def _same(one: object, other: object) -> bool:
    ours, theirs = dict(learned(one, "")), dict(learned(other, ""))
    return ours.keys() == theirs.keys() and all(_equal(ours[n], theirs[n]) for n in ours)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and one.dtype.kind == "f":
        return np.array_equal(one, other, equal_nan=True)
    return np.array_equal(one, other)


@pytest.fixture(scope="module")
def before() -> Sources:
    return fitted(*KNOWN)


def test_what_comes_at_the_cut_or_later_changes_no_source(before: Sources) -> None:
    assert differing(before, fitted(*KNOWN, *LATER)) == set()


def test_sources_that_saw_the_future_are_found_out(
    before: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interactions, "before", lambda log, moment: log)
    described = {"cut_ms", "item_ids", "index_of", "content"}
    learning = {field.name for field in fields(Sources)} - described
    assert differing(before, fitted(*KNOWN, *LATER)) == learning
