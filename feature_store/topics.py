"""The topics, in one table: who writes them, who reads them, how they are keyed and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEAD_LETTER_SUFFIX: Final = "-dlt"


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. `retention_ms` of -1 keeps everything."""

    name: str
    key: str
    partitions: int
    retention_ms: int
    compacted: bool
    producers: str
    consumers: str

    @property
    def dead_letter(self) -> str:
        """Where messages of this topic go that cannot be applied."""
        return self.name + DEAD_LETTER_SUFFIX


INTERACTIONS: Final = Topic(
    "user-interactions", "actor", 4, -1, False, "apps, serving", "streaming, batch"
)
ITEMS: Final = Topic("item-metadata", "item_id", 2, -1, False, "catalogue", "streaming, batch")
PROFILES: Final = Topic(
    "user-profile-updates", "user_id", 2, -1, False, "accounts, serving", "streaming, batch"
)
IMPRESSIONS: Final = Topic("recommendation-impressions", "actor", 2, -1, False, "serving", "batch")

INPUTS: Final = (INTERACTIONS, ITEMS, PROFILES)
TOPICS: Final = (*INPUTS, IMPRESSIONS)
