"""A thread that does one thing again and again, and survives its failures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from feature_store.stores.base import StoreUnavailable
from serving.logs import LOGGER
from serving.publisher import KafkaUnavailable
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)


class Loop:
    """Runs `turn` every `period_s` until stopped; a turn that returns True was the last one."""

    def __init__(
        self, name: str, period_s: float, turn: Callable[[], bool | None], telemetry: Telemetry
    ) -> None:
        self._name = name
        self._period_s = period_s
        self._turn = turn
        self._telemetry = telemetry
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts with a turn at once."""
        self._thread.start()

    def stop(self) -> None:
        """Asks for the end after the running turn."""
        self._stopping.set()

    def join(self, timeout_s: float = 2.0) -> None:
        """Waits a little for that turn."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._survives():
                return
            self._stopping.wait(self._period_s)

    def _survives(self) -> bool:
        try:
            return self._turn() is True
        except (StoreUnavailable, KafkaUnavailable) as error:
            self._failed(str(error), trace=False)
        # A dead refresher would serve old values for ever, unseen.
        except Exception as error:
            self._failed(repr(error), trace=True)
        return False

    def _failed(self, reason: str, trace: bool) -> None:
        self._telemetry.background.labels(self._name).inc()
        fields = {"task": self._name, "reason": reason}
        log.warning("background task failed", exc_info=trace, extra={"fields": fields})
