"""The routes, one module a subject."""

from fastapi import APIRouter

from serving.routes import (
    docs,
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
    docs.router,
)
ROUTERS: tuple[APIRouter, ...] = (*SUBJECTS, aliases(SUBJECTS))
