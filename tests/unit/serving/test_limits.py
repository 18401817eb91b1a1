"""Rate limits: the two kinds of buckets keep one rule, and workers share the quota."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from feature_store.stores.base import StoreUnavailable
from feature_store.stores.quota import NAMES_KEPT, Grant, LocalQuotas, Quota, Quotas, RedisQuotas
from serving.limits import Limiter, retry_after
from serving.telemetry import Telemetry
from tests.redis_server import RedisServer

QUOTA = Quota(per_s=200, burst=1_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of this module alone."""
    running = RedisServer.started(tmp_path_factory.mktemp("redis"))
    yield running
    running.kill()


@pytest.fixture(params=["local", "redis"])
def quotas(request: pytest.FixtureRequest) -> Quotas:
    """Both kinds of buckets, empty of names."""
    if request.param == "local":
        return LocalQuotas()
    server: RedisServer = request.getfixturevalue("server")
    server.client.flushall()
    return RedisQuotas.connect(server.settings, timeout_s=5)


class Out:
    """Shared buckets that do not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def take(self, name: str, quota: Quota, wanted: int) -> Grant:
        self.asked += 1
        raise StoreUnavailable("out")


def limiter(shared: Quotas, parts: int = 1, pause_s: float = 60.0) -> Limiter:
    return Limiter(shared, Telemetry(), deadline_s=0.2, pause_s=pause_s, parts=parts)


async def ask(limiter: Limiter, times: int, quota: Quota = QUOTA, name: str = "key") -> int:
    """How many of so many requests go on."""
    waits = [await limiter.wait_s(name, quota) for _ in range(times)]
    return sum(not wait for wait in waits)


def test_a_burst_is_granted_at_once_and_not_one_more(quotas: Quotas) -> None:
    quota = Quota(per_s=0.01, burst=10)
    assert quotas.take("a", quota, 4) == Grant(4)
    assert quotas.take("a", quota, 9) == Grant(6)
    none = quotas.take("a", quota, 1)
    assert none.tokens == 0
    assert 99 < none.wait_s <= 100
    assert quotas.take("b", quota, 1) == Grant(1)


def test_tokens_come_back_at_the_rate_and_stop_at_the_burst(quotas: Quotas) -> None:
    quota = Quota(per_s=50, burst=5)
    assert quotas.take("a", quota, 5) == Grant(5)
    assert quotas.take("a", quota, 1).tokens == 0
    time.sleep(0.07)
    assert quotas.take("a", quota, 1) == Grant(1)
    time.sleep(0.3)
    assert quotas.take("a", quota, 100) == Grant(5)


def test_who_waits_as_told_is_let_in_each_time(quotas: Quotas) -> None:
    async def patient() -> int:
        waited, one = 0, limiter(quotas)
        for _ in range(40):
            if wait := await one.wait_s("key", Quota(per_s=100, burst=2)):
                waited += 1
                await asyncio.sleep(wait)
                assert await one.wait_s("key", Quota(per_s=100, burst=2)) == 0.0
        return waited

    assert asyncio.run(patient()) > 10


def test_two_workers_share_one_quota(server: RedisServer) -> None:
    server.client.flushall()
    workers = [limiter(RedisQuotas.connect(server.settings, timeout_s=5)) for _ in range(2)]

    async def thrice() -> tuple[int, float]:
        begun, admitted, sent = time.monotonic(), 0, 0
        while sent < 3 * (QUOTA.burst + QUOTA.per_s * (time.monotonic() - begun)):
            admitted += sum(await asyncio.gather(*(ask(worker, 10) for worker in workers)))
            sent += 20
        return admitted, QUOTA.burst + QUOTA.per_s * (time.monotonic() - begun)

    admitted, quota = asyncio.run(thrice())
    assert quota * 0.98 <= admitted <= quota * 1.02


def test_few_requests_wait_for_redis(server: RedisServer) -> None:
    server.client.flushall()
    server.client.config_resetstat()
    one = limiter(RedisQuotas.connect(server.settings, timeout_s=5))
    assert asyncio.run(ask(one, 500)) == 500
    assert server.client.info("commandstats")["cmdstat_evalsha"]["calls"] <= 110


def test_without_redis_each_worker_grants_its_part_and_no_more() -> None:
    workers = [limiter(Out(), parts=2) for _ in range(2)]
    quota = Quota(per_s=0.01, burst=100)
    assert [asyncio.run(ask(worker, 300, quota)) for worker in workers] == [50, 50]


def test_a_redis_that_is_out_is_asked_once_a_pause() -> None:
    out = Out()
    one = limiter(out, pause_s=0.1)

    async def go() -> None:
        await ask(one, 500)
        assert out.asked <= 2
        await asyncio.sleep(0.12)
        await ask(one, 500)
        await asyncio.sleep(0.05)

    asyncio.run(go())
    assert 2 <= out.asked <= 4


def test_only_the_first_request_waits_for_a_redis_that_hangs() -> None:
    class Hangs(Out):
        def take(self, name: str, quota: Quota, wanted: int) -> Grant:
            time.sleep(0.5)
            return super().take(name, quota, wanted)

    async def go() -> None:
        one = limiter(Hangs(), pause_s=0.0)
        begun = time.monotonic()
        assert await ask(one, 20) == 20
        assert time.monotonic() - begun < 0.45  # one deadline of 0.2 s, not twenty

    asyncio.run(go())


def test_a_killed_redis_means_a_limit_and_a_returned_one_means_sharing(
    server: RedisServer,
) -> None:
    server.client.flushall()
    quotas = RedisQuotas.connect(server.settings, timeout_s=0.2)
    one, quota = limiter(quotas, pause_s=0.1), Quota(per_s=0.01, burst=100)
    assert asyncio.run(ask(one, 10, quota)) == 10
    server.kill()
    try:
        assert asyncio.run(ask(one, 500, quota)) <= 101
    finally:
        server.start()
    time.sleep(0.15)
    asyncio.run(ask(one, 1, quota, name="another"))  # sends the probe
    time.sleep(0.3)
    assert asyncio.run(ask(one, 1, quota, name="other")) == 1
    assert server.client.exists("millrace:quota:other")


@pytest.mark.parametrize("damage", ["x", "nan", "-1e99", "1e999"])
def test_a_damaged_bucket_is_a_limit_still(server: RedisServer, damage: str) -> None:
    server.client.flushall()
    server.client.set("millrace:quota:key", damage)
    one = limiter(RedisQuotas.connect(server.settings, timeout_s=5))
    assert asyncio.run(ask(one, 300, Quota(per_s=0.01, burst=100))) <= 100
    assert asyncio.run(one.wait_s("key", Quota(per_s=0.01, burst=100))) <= 100
    server.client.delete("millrace:quota:key")
    server.client.lpush("millrace:quota:key", "x")
    assert asyncio.run(ask(one, 300, Quota(per_s=0.01, burst=100))) <= 100


def test_many_names_do_not_fill_the_memory() -> None:
    quotas = LocalQuotas()
    for number in range(NAMES_KEPT + 100):
        quotas.take(str(number), QUOTA, 1)
    assert len(quotas._full_at) == NAMES_KEPT


def test_retry_after_is_whole_seconds_and_never_too_few() -> None:
    assert [retry_after(seconds) for seconds in (0.001, 1.0, 1.001, 59.2)] == [1, 1, 2, 60]
