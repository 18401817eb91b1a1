"""The routes, one module a subject."""

from fastapi import APIRouter

from serving.routes import (
    feedback,
    health,
    interactions,
    items,
    page,
    recommendations,
    trending,
    users,
)
from serving.routes.aliases import aliases

SUBJECTS: tuple[APIRouter, ...] = (
    recommendations.router,
    interactions.router,
    feedback.router,
    items.router,
    trending.router,
    users.router,
    health.router,
    page.router,
)
ROUTERS: tuple[APIRouter, ...] = (*SUBJECTS, aliases(SUBJECTS))
