"""The routes, one module a subject."""

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter

from serving.routes import (
    admin,
    docs,
    feedback,
    health,
    interactions,
    items,
    page,
    recommendations,
    sample,
    trending,
    users,
)
from serving.routes.aliases import aliases
from serving.units import Unit

OF_UNIT: Final[Mapping[Unit, tuple[APIRouter, ...]]] = {
    Unit.RECOMMENDATIONS: (recommendations.router, admin.router, sample.router),
    Unit.CATALOG: (items.router, trending.router),
    Unit.PROFILES: (users.router, interactions.router, feedback.router),
}
#: What every process has, whatever else it serves.
EVERYWHERE: Final = (health.router, docs.router)


def routers(only: Unit | None) -> tuple[APIRouter, ...]:
    """The routes of one unit, or of all and the page that uses them."""
    if only is None:
        subjects = (*(router for unit in Unit for router in OF_UNIT[unit]), page.router)
    else:
        subjects = OF_UNIT[only]
    return (*subjects, aliases(subjects), *EVERYWHERE)
