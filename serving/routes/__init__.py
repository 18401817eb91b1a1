"""The routes, one module a subject."""

from fastapi import APIRouter

from serving.routes import (
    health,
    interactions,
    items,
    page,
    recommendations,
    trending,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    recommendations.router,
    interactions.router,
    items.router,
    trending.router,
    users.router,
    health.router,
    page.router,
)
