"""The units that the API can be deployed in, apart or together, and what each needs to run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """What one process serves; without one it serves everything."""

    RECOMMENDATIONS = "recommendations"
    CATALOG = "catalog"
    PROFILES = "profiles"


#: The background work of each unit. Profiles come from the stores alone, without any bundle.
NEEDS: Final[Mapping[Unit | None, frozenset[str]]] = {
    None: frozenset({"champion", "items", "trending", "curation"}),
    Unit.RECOMMENDATIONS: frozenset({"champion", "items", "trending", "curation"}),
    Unit.CATALOG: frozenset({"champion", "items", "trending", "curation"}),
    Unit.PROFILES: frozenset(),
}
