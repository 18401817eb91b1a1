"""The shop that serving is measured with is one that serving can load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import shop
from feature_store.declaration import load
from feature_store.stores.base import UserState
from models.bundle import Bundle
from models.retrieval import retrieve


def test_its_bundle_loads_and_offers_enough_to_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop, "TREES", 2)
    declaration = load("feature_store.features")
    made = shop.shop(declaration, items=3_000, users=20)
    factors = np.random.default_rng(0).normal(size=(3_000, 8)).astype(np.float32)
    bundle = Bundle.load(made.publish(tmp_path, factors), declaration)
    assert bundle.ranker is not None
    found = retrieve(bundle.sources, UserState(made.user(3)), made.now)
    assert len(found.positions) >= 100
