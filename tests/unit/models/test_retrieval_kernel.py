"""The compiled loops offer what the sources say, to the bit but for ALS, which both are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.interactions import Floats, Ints
from models.linear import Linear
from models.neighbours import Neighbours
from models.own import Owned
from models.retrieval import CAPS, PASSED, SEEDS, union_by_numpy
from models.shelf import CATEGORIES, fit
from models.sources import SOURCES, Sources
from tests.unit.models.builders import log, sources

ITEMS, LINEAR = 400, 150


def made_up(seed: int) -> Sources:
    """Sources of many items; weights are few different ones, so that there are ties."""
    rng = np.random.default_rng(seed)
    popularity = rng.integers(0, 6, ITEMS).astype(np.float32)
    category = rng.integers(-1, 40, ITEMS).astype(np.int32)
    linear = np.sort(rng.choice(ITEMS, LINEAR, replace=False)).astype(np.int32)
    return replace(
        sources(log(("ann", "milk", "purchase", 1.0))),
        covisitation=neighbours(rng, 12),
        content=neighbours(rng, 5),
        linear=Linear(
            linear,
            rng.integers(0, LINEAR, (LINEAR, 9)).astype(np.int32),
            rng.integers(0, 5, (LINEAR, 9)).astype(np.float32) / 8,
        ),
        shelf=fit(popularity, category),
    )


def neighbours(rng: np.random.Generator, width: int) -> Neighbours:
    items = rng.integers(-1, ITEMS, (ITEMS, width)).astype(np.int32)
    return Neighbours(items, rng.integers(1, 6, (ITEMS, width)).astype(np.float32) / 4)


def somebody(rng: np.random.Generator, count: int) -> Owned:
    items = np.sort(rng.choice(ITEMS, count, replace=False)).astype(np.int32)
    strengths = (rng.integers(-2, 9, count) / 3).astype(np.float32)
    none = np.zeros(count, np.int64)
    return Owned(items, strengths, none.astype(np.int32), none, none, none.astype(np.int32), 0)


def listed(rng: np.random.Generator, count: int) -> tuple[Ints, Floats]:
    items = rng.choice(ITEMS, count, replace=False).astype(np.int32)
    return items, -np.sort(-rng.random(count, dtype=np.float32))


@pytest.mark.parametrize("count", [0, 1, 7, 60, 300])
@pytest.mark.parametrize("share", [0.02, 0.2, 1.0])
def test_the_kernel_offers_what_the_sources_say(count: int, share: float) -> None:
    for seed in range(5):
        rng, found_in = np.random.default_rng(seed), made_up(seed)
        owned = somebody(rng, count)
        caps = {name: int(CAPS[name] * share) for name in SOURCES}
        far = {name: cap + min(count, PASSED) for name, cap in caps.items()}
        given = ("als", "trending", "popular")
        offers = {name: listed(rng, min(far[name], int(rng.integers(0, 90)))) for name in given}
        assert found_in.retriever is not None
        kinds = (SEEDS, CATEGORIES)
        positions, scores = found_in.retriever.union(owned, offers, caps, far, *kinds)
        wanted, told = union_by_numpy(found_in, owned, offers, caps, far)
        np.testing.assert_array_equal(positions, wanted)
        np.testing.assert_array_equal(scores, told)


def test_what_a_source_was_asked_is_not_changed() -> None:
    found_in, rng = made_up(0), np.random.default_rng(0)
    owned, offers = somebody(rng, 50), {"popular": listed(rng, 60)}
    before = offers["popular"][0].copy()
    assert found_in.retriever is not None
    far = dict.fromkeys(SOURCES, 70)
    found_in.retriever.union(owned, offers, dict.fromkeys(SOURCES, 2), far, SEEDS, CATEGORIES)
    np.testing.assert_array_equal(offers["popular"][0], before)
