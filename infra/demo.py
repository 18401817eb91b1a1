"""`millrace demo`: real purchases through every part, until a recommendation changes by a click."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Table

from feature_store.settings import Settings
from infra.commands.local import show_status
from infra.commands.progress import board
from infra.compare import compare_stores, show
from infra.drain import Offsets, drain, end_offsets
from infra.shopper import Click, Shopper, ids, some_user
from infra.stack.errors import StackError
from infra.stack.http import call_json, get_status
from infra.stack.lifecycle import State
from infra.stack.spark import NIGHTLY, spark_submit
from infra.stack.stack import Stack
from infra.stack.streaming import deploy
from infra.traffic.replay import ReplayReport, replay

LIST = 10


def run(
    months: Annotated[int, typer.Option(help="Months of real purchases; 12 for all.")] = 2,
    clicks: Annotated[int, typer.Option(help="Clicks to time.")] = 20,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running.")] = False,
) -> None:
    """Run the whole lambda on real purchases; the last line is one JSON object.

    A stack that runs already is used and left running.
    """
    console, stack = Console(), Stack.from_environment()
    # Left behind by a demo that was killed: then what runs is its stack, not a person's.
    ours = stack.home.run / "demo"
    runs = any(report.state is State.READY for report in stack.status())
    if ours.exists() or not runs:
        stack.home.create()
        ours.touch()
    try:
        summary = Story(console, stack, months, clicks, stays=keep or not ours.exists()).tell()
        if keep:
            ours.unlink(missing_ok=True)
    finally:
        if ours.exists():
            with console.status("taking the stack down"):
                stack.down()
            ours.unlink()
    print(json.dumps(summary), flush=True)
    if summary["demo"] != "ok":
        raise typer.Exit(1)


@dataclass
class Story:
    """One run of the demo: the steps in order, each timed."""

    console: Console
    stack: Stack
    months: int
    clicks: int
    #: Whether the stack is left running, so that there is something to look at.
    stays: bool
    settings: Settings = field(default_factory=Settings)
    begun: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self) -> dict[str, Any]:
        """Every step; returns what the last line says."""
        with _peak_memory(self.stack) as peak:
            with self._step("stack"):
                self._start()
            with self._step("replay"):
                sent = self._replay()
            until = end_offsets(self.settings)
            with self._step("stream"):
                self._drain("hot", until)
            with self._step("nightly"):
                spark_submit(self.stack, NIGHTLY)
            with self._step("compare"):
                self._drain("kept", until)
                equal = show(self.console, compare_stores(self.settings))
            with self._step("answer"):
                timed = self._click()
            with self._step("storefront"):
                self._visit(timed)
        self._close(timed[-1].after["user_id"])
        return self._summary(sent, equal, timed, peak)

    def _start(self) -> None:
        names = [service.name for service in self.stack.services()]
        with board(self.console, names) as progress:
            self.stack.up(names, progress)
        show_status(self.console, self.stack)
        for name in ("hot", "kept"):
            with self.console.status(f"submitting the Flink job: {name}"):
                deploy(self.stack, name)

    def _replay(self) -> ReplayReport:
        with self.console.status(f"replaying {self.months} months of purchases"):
            sent = replay(self.settings, self.stack.home.root, self.months)
        self.console.print(
            f"  {sent.interactions:,} purchases, {sent.items:,} products and {sent.profiles} "
            f"households are in Kafka ({sent.messages_per_second:,.0f} messages/s)"
        )
        return sent

    def _drain(self, deployment: str, until: Offsets) -> None:
        with self.console.status(f"waiting for the {deployment} job") as status:
            seconds = drain(
                self.stack,
                self.settings,
                deployment,
                until,
                lambda ahead: status.update(f"the {deployment} job: {ahead:,} messages to go"),
            )
        self.console.print(f"  {deployment} is at the end of the log (waited {seconds:.1f} s)")

    def _click(self) -> list[Click]:
        url = self.stack.environment()["MILLRACE_SERVING"]
        self._wait_for_champion(url)
        shopper = Shopper(url, some_user(url))
        answer = shopper.recommendations(LIST)
        timed = []
        for number in range(self.clicks):
            timed.append(shopper.click(answer, position=(3 + number) % len(answer["items"])))
            answer = timed[-1].after
        self._show_change(_telling(timed))
        return timed

    def _wait_for_champion(self, url: str) -> None:
        """Until serving answers with the bundle that the nightly left as champion."""
        facts = json.loads((self.stack.home.lake / "nightly.json").read_text())
        with self.console.status("waiting for serving to load the champion"):
            for _ in range(600):
                ready = get_status(f"{url}/health/ready", timeout_s=5) == 200
                health = call_json(f"{url}/health/ready") if ready else {}
                if health.get("bundle") == facts["champion_bundle"] and not health["degraded"]:
                    return
                time.sleep(0.2)
        raise StackError(
            f"Serving did not load bundle {facts['champion_bundle']}: see `millrace logs serving`."
        )

    def _show_change(self, click: Click) -> None:
        table = Table(title=f"{click.before['user_id']} clicks “{click.item['title']}”")
        for heading in ("before", "after", "from", "why"):
            table.add_column(heading)
        old = click.before["items"]
        for position, item in enumerate(click.after["items"]):
            before = old[position]["title"] if position < len(old) else ""
            new = item["id"] not in ids(click.before)
            title = f"[green]{item['title']}[/]" if new else item["title"]
            table.add_row(before, title, ", ".join(item["sources"]), item["reason"])
        self.console.print(table)
        self.console.print(f"  the list knew of the click after {click.milliseconds:.0f} ms")

    def _visit(self, clicks: list[Click]) -> None:
        """The page, and the list it shows now; raises `StackError` unless that is the changed one.

        Items may move meanwhile with what trends; the list must know of the last click.
        """
        last = clicks[-1].after
        shown = Shopper(self.stack.environment()["MILLRACE_SERVING"], last["user_id"]).visit(LIST)
        if shown["last_event_id"] != last["last_event_id"]:
            raise StackError("The storefront does not show the list that the clicks changed.")
        self.console.print(f"  the page is there, and shows {last['user_id']} the changed list")

    def _close(self, user: str) -> None:
        """Where to go on looking; or, when all is taken down now, how to keep it."""
        at = self.stack.environment()
        for what, where in (
            ("storefront", f"{at['MILLRACE_SERVING']}/#{quote(user, safe='')}"),
            ("API", f"{at['MILLRACE_SERVING']}/docs"),
            ("Flink", at["MILLRACE_FLINK"]),
            ("MLflow", at["MILLRACE_MLFLOW"]),
        ):
            if self.stays:
                self.console.print(f"  {what:<11}{where}", highlight=False)
        if not self.stays:
            self.console.print(
                "  the stack is taken down now; `make demo ARGS=--keep` leaves it running, "
                "with the storefront to click in",
                highlight=False,
            )
        steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        self.console.print(f"  {steps}", highlight=False)

    def _summary(
        self, sent: ReplayReport, equal: bool, timed: list[Click], peak: list[int]
    ) -> dict[str, Any]:
        click = _telling(timed)
        return {
            "demo": "ok" if click.changed and equal else "failed",
            "before": ids(click.before),
            "after": ids(click.after),
            "changed": click.changed,
            "click_to_answer_ms": round(statistics.median(one.milliseconds for one in timed)),
            "interactions": sent.interactions,
            "tiles_equal_recount": equal,
            "champion": click.after["bundle"],
            "rss_mib": max(peak),
            "seconds": round(time.monotonic() - self.begun),
        }

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        self.console.rule(f"[bold]{name}[/]", align="left")
        yield
        self.seconds[name] = time.monotonic() - begun
        self.console.print(
            f"  {name}: {self.seconds[name]:.1f} s, {time.monotonic() - self.begun:.0f} s in all",
            style="dim",
        )


def _telling(clicks: list[Click]) -> Click:
    """The first click that changed the list; the first of all when none did."""
    return next((click for click in clicks if click.changed), clicks[0])


@contextmanager
def _peak_memory(stack: Stack, every_s: float = 2.0) -> Iterator[list[int]]:
    """Samples the resident memory (MiB) of the whole stack, Spark included, while it is open."""
    samples = [stack.resident_mib()]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(every_s):
            samples.append(stack.resident_mib())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
