"""What goes with an item is found without looking at every other item."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np

from models.als import Als, Rule
from models.neighbours import Neighbours
from serving.catalogue import Catalogue
from serving.similar import similar

MANY = 50_000


def bundle() -> Any:
    """Items in ten kinds, told apart by their factors; only item 0 has a neighbour, the last."""
    rng = np.random.default_rng(3)
    kinds = rng.normal(size=(10, 64))
    lengths = rng.uniform(0.5, 2.0, (MANY, 1))
    noise = rng.normal(scale=0.1, size=(MANY, 64))
    factors = (lengths * (kinds[np.arange(MANY) % 10] + noise)).astype(np.float32)
    near = np.full((MANY, 2), -1, np.int32)
    near[0, 0] = MANY - 1
    neighbours = Neighbours(near, np.ones((MANY, 2), np.float32))
    ids = [f"i{number}" for number in range(MANY)]
    sources = SimpleNamespace(
        als=Als.build(Rule(64, 10.0, 0.1, 5), factors), covisitation=neighbours, content=neighbours
    )
    index_of = {item_id: position for position, item_id in enumerate(ids)}
    return SimpleNamespace(item_ids=ids, index_of=index_of, sources=sources)


def test_similar_items_take_no_memory_of_the_size_of_the_catalogue() -> None:
    shop, catalogue = bundle(), Catalogue()
    similar(shop, "i0", 20, catalogue)  # compiles the kernel
    tracemalloc.start()
    try:
        found = similar(shop, "i0", 20, catalogue)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A column of all items would be 0.2 MB, their factors 12.8 MB; the scores of all are allowed
    # where no kernel can be compiled.
    assert peak < 1 << 20
    assert found[0].card.item_id == f"i{MANY - 1}"
    assert found[0].sources == ("covisitation", "content")
    others = [near for near in found if "als" in near.sources]
    assert len(others) == 19
    assert all(int(near.card.item_id[1:]) % 10 == 0 for near in others)
