"""The verbs that bring data in: `millrace replay` and `millrace simulate`."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from feature_store.settings import Settings
from infra.stack.home import Home
from infra.traffic import journey, simulation
from infra.traffic.faults import Faults
from infra.traffic.replay import ReplayReport, replay

Months = Annotated[
    int,
    typer.Option(min=1, max=journey.ALL_MONTHS, help="How much: the last N months; 12 is all."),
]
ReplayRate = Annotated[float | None, typer.Option(min=0.001, help="Purchases a second.")]
Speed = Annotated[
    float | None,
    typer.Option(min=0.001, help="Time compression: 3600 replays an hour in a second."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the newest N purchases.")]
FullCatalogue = Annotated[
    bool,
    typer.Option("--full-catalogue", help="All 92,331 products, not only those sold."),
]
Users = Annotated[
    int,
    typer.Option(min=0, help="Accounts. When all of them were here lately, visitors come."),
]
Items = Annotated[int, typer.Option(min=1, help="Size of the made-up catalogue.")]
Real = Annotated[
    bool,
    typer.Option("--real", help="People and items of the replayed data instead of made-up ones."),
]
Events = Annotated[
    int | None,
    typer.Option(min=1, help="How many. Live: when to stop. Default 10,000; live none."),
]
Days = Annotated[float, typer.Option(min=0.001, help="The past they are spread over, ending now.")]
LiveRate = Annotated[
    float | None,
    typer.Option("--live", min=0.001, help="Live instead: events a second, until Ctrl-C."),
]
Seed = Annotated[int, typer.Option(help="The same seed and end make the same events.")]
Until = Annotated[
    int | None,
    typer.Option(help="End of the simulated past, ms since the epoch; default now."),
]
Bad = Annotated[float, typer.Option(min=0, max=1, help="Bad messages added, per good one.")]
Duplicates = Annotated[float, typer.Option(min=0, max=1, help="Exact copies added, per good one.")]


def replay_command(
    months: Months = journey.DEFAULT_MONTHS,
    rate: ReplayRate = None,
    speed: Speed = None,
    limit: Limit = None,
    full_catalogue: FullCatalogue = False,
) -> None:
    """Replay real purchases (The Complete Journey) into Kafka, shifted so that they end now.

    Full speed unless --rate or --speed. The shift is chosen once per MILLRACE_HOME: a second
    replay sends the same events, which the stream recognises as duplicates.
    """
    if rate is not None and speed is not None:
        raise typer.BadParameter("choose --rate or --speed, not both")
    home = Home.from_environment().root
    with _progress() as progress:
        report = replay(Settings(), home, months, rate, speed, limit, full_catalogue, progress)
    Console(soft_wrap=True).print(_told(report))


def simulate_command(
    users: Users = 500,
    items: Items = 2000,
    real: Real = False,
    events: Events = None,
    days: Days = 7.0,
    live: LiveRate = None,
    until: Until = None,
    seed: Seed = 7,
    bad: Bad = 0.0,
    duplicates: Duplicates = 0.0,
) -> None:
    """Simulate people who search, view, click, fill carts and buy; finished days or live.

    The same options make the same bytes (with --until; otherwise the days end now).
    """
    settings = Settings()
    faults = Faults(bad, duplicates, seed)
    world = simulation.journey_world() if real else simulation.made_up_world(users, items, seed)
    with _progress() as progress:
        if live is not None:
            report = simulation.simulate_live(settings, world, live, events, seed, faults, progress)
        else:
            end_ms = until if until is not None else time.time_ns() // 1_000_000
            report = simulation.simulate_past(
                settings, world, events or 10_000, days, end_ms, seed, faults, progress
            )
    Console(soft_wrap=True).print(
        f"{report.interactions:,} interactions ({report.good:,} good, {report.bad:,} bad, "
        f"{report.duplicates:,} duplicates) and {report.descriptions:,} descriptions "
        f"acknowledged in {report.seconds:.1f} s."
    )


def _told(report: ReplayReport) -> str:
    return (
        f"{report.interactions:,} purchases, {report.items:,} items and {report.profiles:,} "
        f"profiles acknowledged in {report.seconds:.1f} s "
        f"({report.messages_per_second:,.0f} messages/s)."
    )


def _progress() -> Progress:
    columns = (TextColumn("{task.description:>14}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn())
