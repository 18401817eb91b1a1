"""Rate limits: so many requests a second for each key, or each address, whatever the worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from feature_store.stores.base import StoreUnavailable
from feature_store.stores.quota import NAMES_KEPT, Grant, LocalQuotas, Quota, Quotas
from serving.logs import LOGGER
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

#: A worker takes this part of a burst at a time, so that few requests wait for Redis, and what
#: lies unused in another worker's hands stays below a hundredth of the quota.
LEASE: Final = 1 / 200
#: Threads that wait for Redis, apart from those that answer requests.
WORKERS: Final = 4
#: Whose bucket is asked for to see whether there are any; no caller has this name.
PROBE: Final = "probe"


@dataclass(slots=True)
class Lease:
    """Tokens at hand, or until when (monotonic, s) there are none."""

    tokens: int = 0
    none_until: float = 0.0


class Limiter:
    """Shared buckets behind small leases; this process's part alone while they are out."""

    def __init__(
        self, shared: Quotas, telemetry: Telemetry, deadline_s: float, pause_s: float, parts: int
    ) -> None:
        """`parts` is the number of workers: each grants only its part on its own."""
        self._shared = shared
        self._local = LocalQuotas()
        self._telemetry = telemetry
        self._deadline_s = deadline_s
        self._pause_s = pause_s
        self._parts = parts
        self._probe_at: float | None = None
        self._leases: OrderedDict[str, Lease] = OrderedDict()
        self._threads = ThreadPoolExecutor(WORKERS, "quota")

    async def wait_s(self, name: str, quota: Quota) -> float:
        """0 when `name` may go on now, else the seconds after which it may ask again."""
        lease = self._lease(name)
        if lease.tokens:
            lease.tokens -= 1
            return 0.0
        none_for = lease.none_until - time.monotonic()
        if none_for > 0:
            return none_for
        grant = await self._take(name, quota)
        if grant.tokens:
            lease.tokens += grant.tokens - 1
            return 0.0
        lease.none_until = time.monotonic() + grant.wait_s
        return max(grant.wait_s, 1e-3)

    def close(self) -> None:
        """Lets the waiting threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _lease(self, name: str) -> Lease:
        lease = self._leases.get(name)
        if lease is None:
            lease = self._leases[name] = Lease()
            if len(self._leases) > NAMES_KEPT:
                self._leases.popitem(last=False)
        return lease

    async def _take(self, name: str, quota: Quota) -> Grant:
        """From the shared buckets; while they are out, nobody waits for them."""
        if self._probe_at is None:
            try:
                return await self._ask(name, quota)
            except (StoreUnavailable, TimeoutError) as error:
                self._out(error)
        elif time.monotonic() >= self._probe_at:
            self._probe_at = time.monotonic() + self._pause_s
            self._threads.submit(self._probe)
        return self._local.take(name, quota.part(self._parts), 1)

    async def _ask(self, name: str, quota: Quota) -> Grant:
        wanted = max(1, int(quota.burst * LEASE))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._deadline_s):
            return await loop.run_in_executor(self._threads, self._shared.take, name, quota, wanted)

    def _probe(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            self._shared.take(PROBE, Quota(1, 1), 1)
            self._probe_at = None

    def _out(self, error: Exception) -> None:
        self._probe_at = time.monotonic() + self._pause_s
        self._telemetry.failures.labels("quotas").inc()
        fields = {"reason": str(error) or type(error).__name__}
        log.warning("shared quotas out, this worker grants its part", extra={"fields": fields})


def retry_after(seconds: float) -> int:
    """Whole seconds for a Retry-After header, never too few."""
    return max(1, math.ceil(seconds))
