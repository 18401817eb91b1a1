"""A promotion that meets a fault: people ask all the while, and then the new bundle serves."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from models.bundle import Bundle, BundleRefused
from serving.copies import MARKER
from tests.faults.matrix import LISTS, Cell, judge
from tests.faults.proxy import Fault
from tests.faults.shop import Shop
from tests.faults.visitors import Pulse, Visit
from tests.integration.test_serving import wait_for
from tests.unit.serving.world import DECLARATION, ITEMS

RATE: Final = 20.0
#: The new bundle serves at most so long after the fault has ended: the pause of a version that did
#: not come is as long as the fault lasted, and its child has MLflow to import.
SERVES_S: Final = 60.0
#: From this length of a cell on, p99 has its limit.
JUDGED_S: Final = 10.0
AWAITED: Final = "millrace_serving_champion_awaited"
#: To readers, all of this is MLflow's: no store may be said to be out.
NO_STORE: Final = Cell(frozenset({"mlflow"}), Fault.NONE)


@dataclass
class Suffered:
    """What was wrong (empty: nothing), and what the status said of the model meanwhile."""

    wrong: dict[str, int] = field(default_factory=dict)
    said: str = ""


def suffer(
    shop: Shop,
    name: str,
    fault: AbstractContextManager[Any],
    seconds: float,
    capsys: pytest.CaptureFixture[str],
) -> Suffered:
    """The second bundle is promoted into a fault; prints a line; the first one serves at the end.

    `fault` promotes it, or leaves that to the end. A short cell does not judge p99: importing
    MLflow and loading a bundle are much of it.
    """
    first, second = (version.bundle_id for version in shop.versions)
    healthy_s = shop.healthy(RATE, seconds / 2)
    found = Suffered()
    with Pulse() as pulse, shop.visitors(RATE) as visitors:
        since = time.monotonic()
        with fault:
            time.sleep(seconds)
            found.said = shop.model()
            if shop.bundle() == first and shop.metric(AWAITED) != 1:
                found.wrong["not said to be awaited"] = 1
        serves_s = shop.follows(shop.versions[1])
        time.sleep(1)
    verdict = judge(
        NO_STORE, visitors.visits, since, frozenset(ITEMS), max(healthy_s, pulse.late_s)
    )
    found.wrong |= verdict.wrong | _swapped_once(visitors.visits, first, second)
    if seconds < JUDGED_S:
        found.wrong.pop("too slow", None)
    if serves_s > SERVES_S:
        found.wrong[f"serves after {serves_s:.0f} s"] = 1
    if shop.model() or shop.metric(AWAITED):
        found.wrong["said to be awaited, and serves"] = 1
    if stays := [name for name in left(shop) - {MARKER} if not _is_sound(shop.shelf / name)]:
        found.wrong[f"left behind: {sorted(stays)}"] = 1
    line = {"trial": "promotion", "cell": name, "wrong": found.wrong, "said": found.said}
    with capsys.disabled():
        figures = verdict.figures | {"serves_s": round(serves_s, 1)}
        print(f"\n{json.dumps(line | figures)}", flush=True)
    _back(shop)
    return found


def left(shop: Shop) -> set[str]:
    """What lies on the shelf."""
    return {path.name for path in shop.shelf.iterdir()}


@contextmanager
def promoted(shop: Shop, fault: AbstractContextManager[Any]) -> Iterator[None]:
    """The fault first, then the promotion of the second bundle."""
    with fault:
        shop.registry.promote(shop.versions[1])
        yield


def _is_sound(path: Path) -> bool:
    """A whole bundle, and no part of one."""
    try:
        return Bundle.load(path, DECLARATION).id == path.name
    except BundleRefused:
        return False


def _swapped_once(visits: Sequence[Visit], first: str, second: str) -> dict[str, int]:
    """Every list is of one of two bundles, and none of the old when the new one has answered."""
    lists = [visit for visit in visits if visit.status == 200 and visit.kind in LISTS]
    wrong = Counter(
        f"bundle {visit.said['bundle']}"
        for visit in lists
        if visit.said["bundle"] not in (first, second)
    )
    came = min(
        (visit.at + visit.seconds for visit in lists if visit.said["bundle"] == second),
        default=float("inf"),
    )
    late = sum(visit.sent > came and visit.said["bundle"] == first for visit in lists)
    return dict(wrong) | ({"the old bundle after the new one": late} if late else {})


def _back(shop: Shop) -> None:
    """The first bundle serves, and the second one must be fetched again."""
    shop.follows(shop.versions[0])
    wait_for(lambda: not shop.metric(AWAITED))
    shutil.rmtree(shop.shelf / shop.versions[1].bundle_id)
