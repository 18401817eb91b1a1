"""One API process over the real services, each behind a proxy that can hurt it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from feature_store.settings import Settings
from feature_store.stores.base import Recent, Store
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from models.registry import Registry, Version
from tests.faults.artefacts import Artefacts
from tests.faults.matrix import ALSO, KNOWN
from tests.faults.proxy import Fault, Proxy
from tests.faults.visitors import Visitors
from tests.integration.test_serving import list_for, serving, stock, wait_for
from tests.unit.serving.world import HISTORY, publish_bundle, recent

USERS: Final = (KNOWN, KNOWN, KNOWN, "nobody")
DAY_S: Final = 86_400
REFUSED: Final = "millrace_serving_bundles_refused_total "
CLICK: Final = {"user_id": KNOWN, "item_id": "tea", "type": "click"}


@dataclass(frozen=True)
class ModelFile:
    """The bundle that arrives, which can be corrupt: damaged after its hashes were taken."""

    registry: Registry
    good: Version
    where: Path
    http: httpx.Client

    @property
    def hurt(self) -> float:
        """How many bundles the API has refused."""
        lines = self.http.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith(REFUSED))

    @contextmanager
    def fault(self, _: Fault) -> Iterator[None]:
        """A corrupt bundle is promoted, and the good one again at the end."""
        path = publish_bundle(self.where / "corrupt", rows=HISTORY[:-3])
        target = path / "popularity.npy"
        target.write_bytes(target.read_bytes()[:-1] + b"\x07")
        before = self.hurt
        self.registry.promote(self.registry.publish(path))
        try:
            wait_for(lambda: self.hurt > before)
            yield
        finally:
            self.registry.promote(self.good)
            shutil.rmtree(path)


@dataclass(frozen=True)
class Shop:
    """The API, what stands behind it, and a way around the proxies."""

    http: httpx.Client
    proxies: dict[str, Proxy | ModelFile]
    stores: Sequence[Store]
    registry: Registry
    versions: tuple[Version, Version]
    artefacts: Artefacts
    #: Where the API keeps its bundles, and what it wrote to its log.
    shelf: Path
    log: Path

    def visitors(self, rate: float) -> Visitors:
        """A load of known and unknown users, and of every other read."""
        return Visitors(str(self.http.base_url), USERS, rate, also=ALSO)

    def healthy(self, rate: float, seconds: float) -> float:
        """p99 (s) of that load while nothing is wrong."""
        with self.visitors(rate) as visitors:
            time.sleep(seconds)
        return sorted(visit.seconds for visit in visitors.visits)[-1 - len(visitors.visits) // 100]

    def personal_again(self) -> float:
        """Seconds until an answer knows a click of now, and lacks nothing."""
        begun = time.monotonic()
        now = time.time_ns() // 1_000_000
        click = Recent(now, f"click-{now}", "click", "tea", 1, 100, "")
        for store in self.stores:
            store.write_recents([(KNOWN, click)])
        wait_for(lambda: self._is_personal(click.event_id))
        return time.monotonic() - begun

    def accepts_again(self) -> float:
        """Seconds until a click is accepted."""
        begun = time.monotonic()
        wait_for(lambda: self.http.post("/api/interactions", json=CLICK).status_code == 202)
        return time.monotonic() - begun

    def follows(self, version: Version) -> float:
        """Promotes; returns the seconds until that bundle answers."""
        begun = time.monotonic()
        self.registry.promote(version)
        wait_for(lambda: self.bundle() == version.bundle_id)
        return time.monotonic() - begun

    def bundle(self) -> Any:
        """What answers now."""
        return list_for(self.http, KNOWN)["bundle"]

    def model(self) -> str:
        """What the status says of the model, beside its state."""
        parts = self.http.get("/api/status").json()["parts"]
        return str(next(part["detail"] for part in parts if part["name"] == "model"))

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        lines = self.http.get("/metrics").text.splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def _is_personal(self, event_id: str) -> bool:
        answer = list_for(self.http, KNOWN)
        return (answer["last_event_id"], answer["degraded"]) == (event_id, [])


@contextmanager
def open_shop(
    settings: Settings, where: Path, under: Sequence[str] = (), **environment: str
) -> Iterator[Shop]:
    """Two bundles in MLflow, the first of them promoted; one user in both stores.

    `under` is a command that the API is to run under.
    """
    with ExitStack() as closing:
        stores = (RedisStore.connect(settings), CassandraStore.connect(settings))
        for store in stores:
            closing.callback(store.close)
            stock(store, KNOWN)
            # Older than anything the bundle remembers of the user: a store that lost nothing.
            store.write_recents([(KNOWN, recent("milk", "purchase", 40 * DAY_S))])
        registry = Registry(settings.mlflow, settings.namespace)
        versions = tuple(
            registry.publish(publish_bundle(where / f"made-{n}", rows=HISTORY[:-n])) for n in (1, 2)
        )
        registry.promote(versions[0])
        artefacts = Artefacts(urlsplit(settings.mlflow).netloc)
        closing.callback(artefacts.close)
        proxies = {
            "redis": Proxy(urlsplit(settings.redis).netloc),
            "cassandra": Proxy(settings.cassandra),
            "kafka": Proxy(settings.kafka),
            "mlflow": Proxy(artefacts.address),
        }
        for proxy in proxies.values():
            closing.callback(proxy.close)
        behind = settings.model_copy(
            update={
                "redis": f"redis://{proxies['redis'].address}/0",
                "cassandra": proxies["cassandra"].address,
                "kafka": proxies["kafka"].address,
                "mlflow": f"http://{proxies['mlflow'].address}",
            }
        )
        said = {
            "MILLRACE_SERVING_CHAMPION_S": "0.5",
            "MILLRACE_SERVING_KAFKA_DEADLINE_MS": "1000",
            # A kept list would hide what a fault does to the making of one.
            "MILLRACE_SERVING_RESULT_S": "0",
        }
        log = where / "log"
        http = closing.enter_context(serving(behind, log, under=under, **said | environment))
        model = ModelFile(registry, versions[0], where, http)
        hurtable = proxies | {"model": model}
        shop = Shop(
            http, hurtable, stores, registry, (versions[0], versions[1]), artefacts,
            settings.bundles, log,
        )  # fmt: skip
        wait_for(lambda: shop.bundle() == versions[0].bundle_id)
        shop.personal_again()
        shop.accepts_again()
        # The first one imports LightGBM, which takes its time on a busy machine.
        http.get(f"/api/recommendations/{KNOWN}/why/tea", timeout=60)
        yield shop
