"""The small shop of the serving tests."""

from __future__ import annotations

from tests.unit.serving.conftest import make, shelf, world

__all__ = ["make", "shelf", "world"]
