"""The catalogue of metrics says what is registered, and what is registered moves."""

from __future__ import annotations

import re
from pathlib import Path

from serving.parts import Parts
from serving.telemetry import Telemetry
from tests.unit.serving.world import DECLARATION, World, recent

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"
PREFIX = "millrace_serving_"


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name -> (kind, labels), from the table of serving's metrics."""
    _, _, text = DOCUMENT.read_text().partition("# Metrics of serving")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", text, re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_metric_is_documented_and_every_documented_one_exists() -> None:
    metrics = vars(Telemetry()).values()
    registered = {
        metric._name.removeprefix(PREFIX): (metric._type, tuple(metric._labelnames))
        for metric in metrics
        if hasattr(metric, "_labelnames")
    }
    assert registered == documented()


def test_a_list_moves_what_it_should(world: World) -> None:
    world.did("ann", recent("tea", "click"))
    world.list_for("ann")
    text = world.http.get("/metrics").text
    for sample in (
        'results_total{fate="made"} 1.0',
        'dependency_seconds_count{dependency="redis"}',
        'dependency_out{dependency="redis",use="requests"} 0.0',
        'queued{queue="impressions"} 1.0',
        'requests_total{method="GET",route="/api/recommendations/{user_id}",status="200"} 1.0',
        "feature_age_seconds_count 1.0",
    ):
        assert PREFIX + sample in text
    (cut,) = re.findall(rf"^{PREFIX}bundle_cut_seconds (.*)$", text, re.MULTILINE)
    live = world.parts.champion.live
    assert live
    assert float(cut) == live.bundle.sources.cut_ms / 1_000


def loops(parts: Parts) -> set[str]:
    return {loop._thread.name for loop in parts.loops}


def test_gauges_of_one_process_are_asked_when_it_is_scraped(world: World) -> None:
    telemetry, waiting = Telemetry(), ["one"]
    telemetry.watch(telemetry.queued.labels("here"), lambda: len(waiting))
    for _ in range(2):
        waiting.append("another")
        said = f'{PREFIX}queued{{queue="here"}} {len(waiting)}.0'
        assert said in telemetry.exposition().decode()
    assert "gauges" not in loops(world.parts)


def test_gauges_of_several_processes_are_set_by_each(world: World, tmp_path: Path) -> None:
    telemetry, waiting = Telemetry(tmp_path), ["one"]
    telemetry.watch(telemetry.queued.labels("here"), lambda: len(waiting))
    telemetry.turn()
    name, labels = f"{PREFIX}queued", {"queue": "here"}
    assert telemetry.registry.get_sample_value(name, labels) == 1
    parts = Parts.assemble(DECLARATION, world.rules, telemetry, world.parts.outside)
    assert "gauges" in loops(parts)
