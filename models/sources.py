"""The candidate sources of one bundle, fitted at one cut in time, over one list of items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from feature_store.vectors import ItemColumns
from models.als import Als
from models.interactions import Floats, Ints
from models.linear import Linear
from models.neighbours import Neighbours
from models.own import OwnHistory
from models.repeats import Repeats
from models.retrieval_kernel import Retriever
from models.shelf import Shelf
from models.topk import top

#: The order of the score columns, fixed: the ranker learned it.
SOURCES: Final = (
    "als", "own", "covisitation", "linear", "content", "shelf", "trending", "popular",
)  # fmt: skip
#: How many of the most popular items are kept in order.
POPULAR_KEPT: Final = 1_000


@dataclass(frozen=True)
class Sources:
    """Everything retrieval reads; arrays are indexed by position in `item_ids`.

    Nothing in here knows of an event at or after `cut_ms`. `columns.windows` are as of the cut
    too: training and serving replace them with the windows of the moment.
    """

    cut_ms: int
    item_ids: tuple[str, ...]
    index_of: Mapping[str, int]
    columns: ItemColumns
    als: Als
    own: OwnHistory
    covisitation: Neighbours
    linear: Linear
    content: Neighbours
    popularity: Floats
    shelf: Shelf
    repeats: Repeats

    @cached_property
    def popular(self) -> tuple[Ints, Floats]:
        """The most popular items, best first, and their popularity."""
        return top(self.popularity, POPULAR_KEPT)

    @cached_property
    def retriever(self) -> Retriever | None:
        """The sources' loops, compiled; None without a compiler."""
        return Retriever.of(self)
