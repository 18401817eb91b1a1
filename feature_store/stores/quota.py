"""Quotas that processes share: a token bucket a name, in Redis or in this process alone."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis

from feature_store.settings import Settings
from feature_store.stores.base import StoreUnavailable

#: More names than this are not remembered: the one unused for longest starts with a full bucket.
NAMES_KEPT: Final = 10_000

#: A bucket is the moment (server time, s) when it is full again, so it fills up by itself. It is
#: never emptier than empty, whatever stands there.
#: KEYS[1]: the bucket. ARGV: seconds a token, tokens it holds, tokens wanted.
#: Returns the tokens taken and, when there is none, the seconds until there is one.
TAKE: Final = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local per_token, holds, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = tonumber(redis.call('GET', KEYS[1]) or 0) or now
if not (full_at >= now) then full_at = now end
full_at = math.min(full_at, now + holds * per_token)
local there = math.floor(holds - (full_at - now) / per_token + 1e-3)
if there < 1 then
  return {0, string.format('%.6f', full_at - now - (holds - 1) * per_token)}
end
local taken = math.min(wanted, there)
full_at = full_at + taken * per_token
local lives = math.ceil((full_at - now) * 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'PX', lives)
return {taken, '0'}
"""


@dataclass(frozen=True, slots=True)
class Quota:
    """`per_s` a second in the long run, `burst` at once."""

    per_s: float
    burst: int

    def part(self, parts: int) -> Quota:
        """The same, divided among processes that cannot ask each other."""
        return Quota(self.per_s / parts, max(1, self.burst // parts))


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens taken; with none, `wait_s` until there is one."""

    tokens: int
    wait_s: float = 0.0


class Quotas(Protocol):
    """Buckets by name."""

    def take(self, name: str, quota: Quota, wanted: int) -> Grant:
        """Up to `wanted` tokens at once; raises `StoreUnavailable`."""


class RedisQuotas:
    """Buckets that all processes of a namespace share."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._prefix = f"{namespace}:quota:"
        self._take = client.register_script(TAKE)

    @classmethod
    def connect(cls, settings: Settings, timeout_s: float) -> RedisQuotas:
        """With a connection pool of its own; a call has `timeout_s` to answer."""
        client = redis.Redis.from_url(
            settings.redis, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )
        return cls(client, settings.namespace)

    def take(self, name: str, quota: Quota, wanted: int) -> Grant:
        try:
            said: Any = self._take([self._prefix + name], [1 / quota.per_s, quota.burst, wanted])
            return Grant(int(said[0]), float(said[1]))
        # Whatever it is: without an answer that makes sense there is no quota.
        except (redis.RedisError, ValueError, TypeError, LookupError) as error:
            raise StoreUnavailable(f"redis: {type(error).__name__}") from error


class LocalQuotas:
    """Buckets of this process, by the same arithmetic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str, quota: Quota, wanted: int) -> Grant:
        now, per_token = self._clock(), 1 / quota.per_s
        full_at = min(max(self._full_at.pop(name, 0.0), now), now + quota.burst * per_token)
        there = math.floor(quota.burst - (full_at - now) / per_token + 1e-3)
        taken = max(0, min(wanted, there))
        self._full_at[name] = full_at + taken * per_token
        if len(self._full_at) > NAMES_KEPT:
            self._full_at.popitem(last=False)
        if taken:
            return Grant(taken)
        return Grant(0, full_at - now - (quota.burst - 1) * per_token)
