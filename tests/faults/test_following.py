"""Promotions, rollbacks, corrupt bundles and the end of the process, while people ask."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import pytest

from feature_store.settings import Settings
from models.registry import Version
from tests.faults.shop import Shop, open_shop
from tests.faults.visitors import NO_ANSWER, Visitors
from tests.integration.test_serving import NOBODY, list_for, serving
from tests.unit.serving.world import HISTORY, publish_bundle

REQUESTS: Final = 10_000
RATE: Final = 80.0


@pytest.mark.trial
def test_promotions_under_load_cost_no_request(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_shop(settings, tmp_path) as shop:
        damaged = _damaged(shop, tmp_path)
        first, second = shop.versions
        swaps = []
        with shop.visitors(RATE) as visitors:
            while len(visitors.visits) < REQUESTS:
                swaps.append(shop.follows(second))
                shop.registry.promote(damaged)
                time.sleep(3)
                assert shop.bundle() == second.bundle_id
                swaps.append(shop.follows(first))
    failed = [visit for visit in visitors.visits if visit.status != 200 or not visit.items]
    bundles = {visit.said.get("bundle") for visit in visitors.visits if visit.status == 200}
    said = {
        "trial": "promotions under load",
        "requests": len(visitors.visits),
        "failed": len(failed),
        "swaps": len(swaps),
        "slowest_swap_s": round(max(swaps), 1),
    }
    with capsys.disabled():
        print(f"\n{json.dumps(said)}", flush=True)
    assert not failed
    assert bundles == {first.bundle_id, second.bundle_id}


def test_the_end_of_the_process_drops_no_request_in_flight(tmp_path: Path) -> None:
    publish_bundle(tmp_path / "bundles")
    alone = Settings(
        kafka=NOBODY,
        redis=f"redis://{NOBODY}/0",
        cassandra=NOBODY,
        mlflow=f"http://{NOBODY}",
        bundles=tmp_path / "bundles",
    )
    drains = {"MILLRACE_SERVING_DRAIN_S": "2"}
    with serving(alone, tmp_path / "log", **drains) as http:
        assert list_for(http, "ann")["items"]
        visitors = Visitors(str(http.base_url), ("ann", "bob"), rate=60)
        visitors.__enter__()
        time.sleep(2)
        told = time.monotonic()
    visitors.__exit__(None, None, None)
    # The first second of the drain: what was sent in it is read long before the server stops.
    in_time = [visit for visit in visitors.visits if visit.sent < told + 1]
    assert len(in_time) > 120
    assert not [visit for visit in in_time if visit.status != 200]
    # What is sent when the process has gone is refused. Nobody gets half an answer, or a 5xx.
    assert {visit.status for visit in visitors.visits} <= {200, NO_ANSWER}


def _damaged(shop: Shop, where: Path) -> Version:
    """A third version, damaged after its hashes were taken."""
    path = publish_bundle(where / "damaged", rows=HISTORY[:-3])
    target = path / "popularity.npy"
    target.write_bytes(target.read_bytes()[:-1] + b"\x07")
    return shop.registry.publish(path)
