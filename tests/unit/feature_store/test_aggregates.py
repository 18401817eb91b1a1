"""What a sketch of actors promises: exact while few, close when many, whatever the order."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from feature_store.aggregates import SKETCH_SIZE, Distinct
from feature_store.events import actor_hash

DISTINCT = Distinct("actor")
ACTORS = st.lists(st.text(max_size=3), max_size=200)


def sketch(actors: list[str]) -> list[int]:
    """Folded one by one, in the order given."""
    return reduce(DISTINCT.merge, ([actor_hash(actor)] for actor in actors), DISTINCT.zero)


def test_a_hash_is_63_bits_of_md5() -> None:
    assert actor_hash("ann") == 0x7E0D7F8A5D96C24F >> 1
    assert actor_hash("日本") < 2**63


@given(ACTORS)
def test_a_few_actors_are_counted_exactly(actors: list[str]) -> None:
    few = sorted(set(actors))[: SKETCH_SIZE - 1]
    assert DISTINCT.value(sketch(few + few)) == len(few)


def test_many_actors_are_counted_to_within_a_few_standard_errors() -> None:
    for many in (100, 10_000):
        estimate = DISTINCT.value(sketch([f"user {n}" for n in range(many)]))
        assert abs(estimate - many) < 3 * 0.18 * many


@given(ACTORS, ACTORS)
def test_a_sketch_depends_neither_on_order_nor_on_copies_nor_on_how_it_was_cut(
    left: list[str], right: list[str]
) -> None:
    whole = sketch(left + right)
    assert DISTINCT.merge(sketch(right), sketch(left)) == whole
    assert sketch([*reversed(right), *left, *right]) == whole
    assert whole == sorted(set(whole))
    assert len(whole) <= SKETCH_SIZE


def test_nobody_is_no_one() -> None:
    assert DISTINCT.value(DISTINCT.zero) == 0
