"""Tonight's skew check: the champion's answers that were landed since the last one was made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from batch.answers import answers, landed_since
from batch.files import read_json, write_json
from batch.lake import Lake
from batch.learn import Teacher
from batch.motion import motion
from batch.skew import Skew, skew
from feature_store.settings import Settings
from feature_store.topics import IMPRESSIONS, INTERACTIONS
from models.bundle import Bundle, BundleRefused
from models.registry import Registry

#: In the lake: where the next comparison begins.
COMPARED: Final = "compared.json"


@dataclass(frozen=True)
class Compared:
    """What was found; `why_not` says why nothing was compared."""

    skew: Skew | None
    why_not: str = ""

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"skew": asdict(self.skew) if self.skew else None, "not_compared": self.why_not}

    def __str__(self) -> str:
        return str(self.skew) if self.skew else f"nothing compared: {self.why_not}"


def compare(
    settings: Settings, lake: Lake, registry: Registry, teacher: Teacher, into: Path
) -> Compared:
    """Asks the log for the vectors of new answers; never fails for want of them.

    The champion is fetched to `into`.
    """
    champion = registry.champion()
    if champion is None:
        return Compared(None, "there is no champion yet")
    try:
        path = registry.fetch(champion, into)
        bundle = Bundle.load(path, teacher.declaration)
    except BundleRefused as refused:
        return Compared(None, f"the champion does not load here, {refused.reason}")
    topic = settings.topic(IMPRESSIONS.name)
    shown = answers(landed_since(lake, topic, _since(lake, topic)), bundle.id)
    known = bundle.manifest.offsets.get(settings.topic(INTERACTIONS.name), {})
    moving = motion(settings, lake, shown, known)
    if not shown:
        return Compared(None, "the champion gave no comparable answer since the last comparison")
    past = teacher.history.over(bundle.item_ids)
    found = skew(teacher.declaration, past, bundle.sources, shown, moving)
    if not found.compared:
        return Compared(None, f"{found.moving} served vectors were in motion, and no others")
    return Compared(found)


def remember(settings: Settings, lake: Lake) -> None:
    """The next comparison begins behind what is landed now."""
    landed = lake.landed(settings.topic(IMPRESSIONS.name))
    if landed.batches:
        said = {"topic_id": landed.batches[-1].topic_id, "offsets": landed.offsets}
        write_json(lake.root / COMPARED, said)


def _since(lake: Lake, topic: str) -> dict[str, int]:
    """Partition -> offset; nothing of a topic that was made anew."""
    said, batches = read_json(lake.root / COMPARED), lake.landed(topic).batches
    if said is None or not batches or said["topic_id"] != batches[-1].topic_id:
        return {}
    found: dict[str, int] = said["offsets"]
    return found
