"""A described catalogue of any size costs little to keep and little to search."""

from __future__ import annotations

import random
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving import card as cards
from serving import described, search
from serving.card import Card, Filter
from serving.catalogue import Catalogue
from serving.people import People

WORDS = ("green", "Tea", "straße", "no. 7", "CAKE", "ΣΟΦΟΣ", "a", "")
PATHS = (("food", "Tea time"), ("garden",), ("food", "Bakery goods"))
BRANDS = ("Acme", "Old Tree")


def bundle(count: int, seed: int = 0) -> Any:
    """A bundle as far as the catalogue reads it; its ids are in no order."""
    rng = random.Random(seed)
    ids = [f"i{number}" for number in range(count)]
    rng.shuffle(ids)
    titles = [" ".join(rng.choices(WORDS, k=rng.randrange(4))) for _ in ids]
    price = [rng.choice((99.6, 150.0, 1e6, float("nan"))) for _ in ids]
    columns = SimpleNamespace(
        category=np.asarray([rng.randrange(-1, 3) for _ in ids], np.int32),
        brand=np.asarray([rng.randrange(-1, 2) for _ in ids], np.int32),
        price_minor=np.asarray(price, np.float32),
    )
    index_of = {item_id: position for position, item_id in enumerate(ids)}
    return SimpleNamespace(
        item_ids=ids,
        index_of=index_of,
        positions_of=lambda some: frozenset(index_of[i] for i in some if i in index_of),
        columns=columns,
        catalogue=SimpleNamespace(titles=titles, categories=PATHS, brands=BRANDS),
    )


def seeded(shop: Any) -> Catalogue:
    catalogue = Catalogue()
    catalogue.seed(shop)
    return catalogue


def told(card: Card, **changed: Any) -> Card:
    said = {name: getattr(card, name) for name in Card.__slots__}
    return Card(**{**said, "live": True, **changed})


def walked(all_cards: list[Card], words: str, wanted: Filter, after: str) -> list[str]:
    """The meaning of a search: a walk over every card."""
    return sorted(
        card.item_id
        for card in all_cards
        if card.item_id > after and card.offered and not wanted.objection(card)
        and all(
            word in " ".join((card.title, card.brand or "", *card.category)).lower()
            for word in words.lower().split()
        )
    )  # fmt: skip


def test_a_search_finds_what_a_walk_over_every_card_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STRETCH", 16)
    shop, rng = bundle(150), random.Random(1)
    catalogue = seeded(shop)
    known = {item_id: catalogue.get(item_id) or Card("", "") for item_id in shop.item_ids}
    for item_id in [*rng.sample(shop.item_ids, 40), "new", "a-new", "zz"]:
        changed = rng.choice(({}, {"available": False}, {"title": "Tea"}, {"price_minor": 7}))
        before = known.get(item_id, Card(item_id, "green tea"))
        known[item_id] = told(before, **changed)
        catalogue.put(known[item_id])
    for _ in range(400):
        words = " ".join(
            rng.choices(("tea", "E", "ß", "σοφος", "7", "a", "tree", "goods"), k=rng.randrange(3))
        )
        wanted = Filter(
            rng.choice((None, None, "food", "none")), rng.choice((None, None, "Acme", "none")),
            rng.choice((None, 1.0, 1.5)), rng.choice((None, 1.5, 0.5)),
        )  # fmt: skip
        after = rng.choice(("", "i5", "zzz", rng.choice(shop.item_ids)))
        limit = rng.choice((3, 1_000))
        found = [card.item_id for card in catalogue.search(words, wanted, after, limit)]
        assert found == walked(list(known.values()), words, wanted, after)[:limit]


@pytest.fixture(scope="module")
def large() -> Any:
    return bundle(100_000)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("green", Filter()),
        ("nowhere", Filter()),
        ("", Filter("none")),
        ("", Filter(price_min=1e5)),
    ],
)
def test_a_search_makes_cards_of_what_it_shows(
    large: Any, words: str, wanted: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = seeded(large)
    touched: list[str] = []
    catalogue.read_titles()
    make = described.Described.card
    monkeypatch.setattr(
        described.Described, "card", lambda self, i: (touched.append(i), make(self, i))[1]
    )
    monkeypatch.setattr(cards.Filter, "objection", lambda _, card: touched.append(card.item_id))
    found = catalogue.search(words, wanted, "", 20)
    assert len(found) == (20 if words == "green" else 0)
    assert len(touched) <= 21


def test_an_item_described_as_the_bundle_has_it_takes_a_few_bytes() -> None:
    count = 20_000
    shop = bundle(count)
    catalogue = seeded(shop)
    for item_id in shop.item_ids:  # as a day of requests does
        catalogue.get(item_id)
    tracemalloc.start()
    try:
        for number, item_id in enumerate(shop.item_ids):
            catalogue.put(told(catalogue.get(item_id) or Card("", ""), price_minor=number))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept / count < 32
    assert [catalogue.get(i).price_minor for i in shop.item_ids[:3]] == [0, 1, 2]  # type: ignore[union-attr]


def test_cards_that_were_made_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "MADE", 10)
    shop = bundle(100)
    catalogue = seeded(shop)
    assert all(catalogue.get(item_id) for item_id in shop.item_ids)
    assert catalogue._described
    assert len(catalogue._described._made) <= 10


def test_what_a_store_told_outlives_the_bundle_that_said_the_same() -> None:
    old, new = bundle(50), bundle(60)
    new.catalogue.titles[:] = ["another title"] * 60
    catalogue = seeded(old)
    cards_then = [told(catalogue.get(i) or Card("", ""), price_minor=5) for i in old.item_ids]
    for card in [*cards_then, told(Card("i55", "another title"))]:
        catalogue.put(card)
    catalogue.seed(new)
    assert [catalogue.get(card.item_id) for card in cards_then] == cards_then
    assert catalogue.told("i56") is None
    catalogue.seed(old)
    assert [catalogue.told(card.item_id) for card in cards_then] == cards_then
    assert len(catalogue._cards) == 1  # the bundle says the others again


def test_a_deleted_item_is_told_of_and_may_come_back() -> None:
    catalogue = seeded(bundle(5))
    card = told(catalogue.get("i3") or Card("", ""))
    assert catalogue.told("i3") is None
    catalogue.put(told(card, deleted=True))
    assert catalogue.withdrawn == {"i3"}
    assert catalogue.get("i3") == told(card, deleted=True)
    catalogue.put(card)
    assert catalogue.withdrawn == set()
    assert catalogue.told("i3") == card


def test_the_sample_of_people_is_sorted_once_a_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(*lengths: int) -> Any:
        rows = {f"u{number}": number for number in range(len(lengths))}
        return SimpleNamespace(row_of=rows, indptr=np.cumsum([0, *lengths]))

    people, first = People(), own(5, 1, 3)
    assert people.sample(first, 3) == ["u1", "u2", "u0"]
    first.row_of.clear()  # read again, it would show
    assert people.sample(first, 1) == ["u2"]
    assert people.sample(own(1, 2), 2) == ["u0", "u1"]


def test_what_is_withdrawn_is_known_by_its_place_in_whichever_bundle_asks() -> None:
    old, new = bundle(9), bundle(9, seed=1)
    catalogue = seeded(old)
    card = told(catalogue.get("i3") or Card("", ""))
    assert catalogue.withdrawn_from(old) == set()
    catalogue.put(told(card, available=False))
    assert catalogue.withdrawn_from(old) == {old.index_of["i3"]}
    assert catalogue.withdrawn_from(new) == {new.index_of["i3"]}
    catalogue.put(card)
    assert catalogue.withdrawn_from(new) == set()
