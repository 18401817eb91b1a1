"""The fixtures of the serving tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.serving.world import Make, World, publish_bundle


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one good bundle, made once."""
    root = tmp_path_factory.mktemp("shelf")
    publish_bundle(root)
    return root


@pytest.fixture
def make(shelf: Path) -> Make:
    """Builds a settled world over the good bundle."""

    def build(**parts: Any) -> World:
        return World(**{"root": shelf, **parts}).settle()

    return build


@pytest.fixture
def world(make: Make) -> World:
    """The shop on a good day."""
    return make()
