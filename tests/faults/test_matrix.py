"""Whatever breaks behind the API, a reader gets a list, in time, and the truth about it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from feature_store.settings import Settings
from tests.faults.matrix import Cell, judge
from tests.faults.proxy import FAULTS, Fault
from tests.faults.shop import CLICK, Shop, open_shop
from tests.faults.visitors import Pulse
from tests.unit.serving.world import ITEMS

#: Requests a second, and how long a cell lasts.
RATE: Final = 40.0
LASTS_S: Final = 10.0
QUICKLY_S: Final = 2.0
#: Personal, and accepting, at most so long after the fault has ended.
HEALS_S: Final = 10.0

ONE: Final = [Cell(frozenset({name}), fault) for name in ("redis", "cassandra", "mlflow", "kafka")
              for fault in FAULTS]  # fmt: skip
BOTH: Final = [Cell(frozenset({"redis", "cassandra"}), fault) for fault in FAULTS]
ALL: Final = [Cell(frozenset({"redis", "cassandra", "mlflow", "kafka"}), fault) for fault in FAULTS]
MODEL: Final = Cell(frozenset({"model"}), Fault.GARBAGE)
QUICK: Final = [
    MODEL,
    Cell(frozenset({"redis"}), Fault.HANGS),
    Cell(frozenset({"redis"}), Fault.GARBAGE),
    Cell(frozenset({"cassandra"}), Fault.RESET),
    Cell(frozenset({"redis", "cassandra", "mlflow", "kafka"}), Fault.REFUSED),
]


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Iterator[Shop]:
    with open_shop(settings, tmp_path) as shop:
        yield shop


def test_the_matrix_in_short(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for cell in QUICK:
        assert suffer(shop, cell, QUICKLY_S, capsys) == {}


@pytest.mark.trial
def test_the_matrix(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    found = {str(cell): suffer(shop, cell, LASTS_S, capsys) for cell in [*ONE, *BOTH, *ALL, MODEL]}
    assert not {cell: wrong for cell, wrong in found.items() if wrong}


@pytest.mark.trial
def test_the_planted_bug_of_an_api_without_a_deadline_is_found(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = {"MILLRACE_SERVING_REDIS_DEADLINE_MS": "5000"}
    with open_shop(settings, tmp_path, **patient) as shop:
        cell = Cell(frozenset({"redis"}), Fault.HANGS)
        assert "too slow" in suffer(shop, cell, LASTS_S, capsys)


def suffer(
    shop: Shop, cell: Cell, seconds: float, capsys: pytest.CaptureFixture[str]
) -> dict[str, int]:
    """One cell: hurts under load, judges, heals, prints a line; returns what was wrong."""
    healthy_s = shop.healthy(RATE, seconds / 2)
    hurt = {name: shop.proxies[name].hurt for name in cell.hurt}
    with ExitStack() as faults, Pulse() as pulse, shop.visitors(RATE) as visitors:
        since = time.monotonic()
        for name in cell.hurt:
            faults.enter_context(shop.proxies[name].fault(cell.fault))
        refused = _posts(shop, cell)
        time.sleep(max(0.0, since + seconds - time.monotonic()))
    busy_s = max(healthy_s, pulse.late_s)
    verdict = judge(cell, visitors.visits, since, frozenset(ITEMS), busy_s)
    wrong = verdict.wrong | refused
    healed = {"personal_s": shop.personal_again(), "accepts_s": shop.accepts_again()}
    wrong |= {f"{name} {took:.1f}": 1 for name, took in healed.items() if took > HEALS_S}
    untouched = [name for name, before in hurt.items() if shop.proxies[name].hurt == before]
    wrong |= {f"the injector did nothing to {name}": 1 for name in untouched}
    line = {"trial": "serving matrix", "cell": str(cell), "wrong": wrong, **verdict.figures}
    with capsys.disabled():
        print(f"\n{json.dumps(line | {k: round(v, 1) for k, v in healed.items()})}", flush=True)
    return wrong


def _posts(shop: Shop, cell: Cell) -> dict[str, int]:
    """What is wrong with the fate of a click: 503 with Retry-After, or 202, and never silence."""
    with httpx.Client(base_url=shop.http.base_url, timeout=10) as http:
        answer = http.post("/api/interactions", json=CLICK)
    if answer.status_code == 202:
        return {"accepted without Kafka": 1} if _kafka_is_out(cell) else {}
    if answer.status_code == 503 and "kafka" in cell.hurt:
        return {} if answer.headers.get("retry-after") else {"503 without Retry-After": 1}
    return {f"a click got {answer.status_code}": 1}


def _kafka_is_out(cell: Cell) -> bool:
    return "kafka" in cell.hurt and cell.fault is not Fault.SLOW
