"""Who may do what: one policy on each route, decided from an API key or the open mode."""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from feature_store.stores.quota import Quota
from serving.audit import Audit, AuditOut
from serving.keys import KeyRefused, KeyRing, Scope
from serving.limits import Limiter, retry_after
from serving.logs import LOGGER
from serving.problems import Problem
from serving.segments import restore
from serving.telemetry import Telemetry

log = logging.getLogger(LOGGER)

#: The path parameter that names whose data a route is about.
USER: Final = "user_id"


class Access(StrEnum):
    """Who needs a key."""

    KEYS = "keys"  # everybody
    LOCAL = "local"  # nobody on this machine, and nobody else gets in
    ANYONE = "anyone"  # only administrators


#: What callers without a key may do. Under `keys` there are none.
OPEN: Final = {
    Access.KEYS: frozenset[Scope](),
    Access.LOCAL: frozenset(Scope),
    Access.ANYONE: frozenset({Scope.READ, Scope.WRITE}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `name` is a key's id or an address; `user` the one user it is bound to."""

    name: str
    scopes: frozenset[Scope]
    quota: Quota
    user: str | None = None

    def must_be(self, actor: object) -> None:
        """Raises the 403 of a key that is bound to a user other than `actor`."""
        if self.user is not None and actor != self.user:
            raise forbidden("This key is bound to one user and may not act for others.")

    def may(self, scope: Scope) -> None:
        """Raises the 403 of a key without the scope."""
        if scope not in self.scopes:
            raise forbidden(f"This needs a key with the scope `{scope}`.", scope)


@dataclass(frozen=True)
class Protection:
    """What decides on a request, once for each process."""

    access: Access
    quota: Quota
    keys: KeyRing
    limiter: Limiter
    audit: Audit
    telemetry: Telemetry

    def start(self) -> None:
        """Reads the keys, and says so when the door is open or locked for all.

        Raises `KeysUnreadable`: a server that cannot know its keys must not start.
        """
        self.keys.refresh()
        if self.access is Access.ANYONE:
            log.warning("OPEN TO ANYONE: reads and writes need no key (MILLRACE_SERVING_ACCESS)")
        if self.access is Access.KEYS and not len(self.keys):
            log.warning("no key opens this server yet: `millrace keys create NAME`")

    def identify(self, request: Request) -> Caller:
        """The caller; raises the 401 of a missing or refused key, the 403 of a far address."""
        said = request.headers.get("authorization")
        if said is None:
            return self._nameless(request)
        kind, _, token = said.partition(" ")
        try:
            if kind.lower() != "bearer":
                raise KeyRefused("Send `Authorization: Bearer <key>`.")
            key = self.keys.find(token.strip())
        except KeyRefused as refused:
            raise self._unknown(str(refused), ', error="invalid_token"') from None
        quota = Quota(key.per_s or self.quota.per_s, key.burst or self.quota.burst)
        return Caller(key.id, key.scopes, quota, key.user)

    async def limit(self, caller: Caller) -> None:
        """Raises the 429 of a caller whose quota is used up."""
        wait_s = await self.limiter.wait_s(caller.name, caller.quota)
        if wait_s:
            self.telemetry.turned_away.labels("quota").inc()
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"At most {caller.quota.per_s:g} requests a second, {caller.quota.burst} at once.",
                retry_after_s=retry_after(wait_s),
            )

    def _nameless(self, request: Request) -> Caller:
        scope = request.scope
        if self.access is Access.KEYS:
            raise self._unknown("Send a key: `Authorization: Bearer <key>`.")
        if self.access is Access.LOCAL and not _from_here(request):
            raise self._unknown("This server is open to its own machine only. Send a key.")
        client = (scope.get("client") or ("unknown",))[0]
        return Caller(f"at {_network(client)}", OPEN[self.access], self.quota)

    def _unknown(self, reason: str, more: str = "") -> Problem:
        self.telemetry.turned_away.labels("key").inc()
        challenge = {"WWW-Authenticate": f'Bearer realm="millrace"{more}'}
        return Problem(HTTPStatus.UNAUTHORIZED, reason, headers=challenge)


class Policy(SecurityBase):
    """The dependency that guards one route: `dependencies=[READ]`.

    A key bound to a user is held to the path's `user_id`; a route that names the user elsewhere
    calls `Caller.must_be`, and one that is about many users takes no bound keys (`WHOLE`).
    """

    def __init__(self, scope: Scope, whole: bool = False) -> None:
        self.scope = scope
        self.whole = whole
        self.model = HTTPBearer(description="An API key: `millrace keys create`.")
        self.scheme_name = "key"

    async def __call__(self, request: Request) -> None:
        protection: Protection = request.app.state.parts.protection
        caller = protection.identify(request)
        await protection.limit(caller)
        request.state.caller = caller
        if self.scope is Scope.ADMIN:
            _audit(protection.audit, caller, request)
        try:
            caller.may(self.scope)
            if self.whole:
                caller.must_be(None)
            elif USER in request.path_params:
                caller.must_be(restore(request.path_params[USER]))
        except Problem:
            protection.telemetry.turned_away.labels("scope").inc()
            raise


class Public:
    """The policy of a route for everybody: health, the page, the description of the API."""

    async def __call__(self) -> None:
        """Lets everybody in, whatever they send."""


PUBLIC: Final = Depends(Public())
READ: Final = Security(Policy(Scope.READ))
WRITE: Final = Security(Policy(Scope.WRITE))
ADMIN: Final = Security(Policy(Scope.ADMIN, whole=True))
#: Reading what is about all users at once.
WHOLE: Final = Security(Policy(Scope.READ, whole=True))


def policy_of(route: Any) -> Policy | Public | None:
    """The policy that a route declares; None for a route that lacks one."""
    declared = (dependency.dependency for dependency in getattr(route, "dependencies", ()))
    return next((policy for policy in declared if isinstance(policy, Policy | Public)), None)


def forbidden(reason: str, scope: Scope | None = None) -> Problem:
    """The 403 of a known caller."""
    needed = f', scope="{scope}"' if scope else ""
    challenge = f'Bearer realm="millrace", error="insufficient_scope"{needed}'
    return Problem(HTTPStatus.FORBIDDEN, reason, headers={"WWW-Authenticate": challenge})


def _audit(audit: Audit, caller: Caller, request: Request) -> None:
    allowed = Scope.ADMIN in caller.scopes and caller.user is None
    did = f"{request.method} {request.scope['route'].path}"
    try:
        audit.record(caller.name, did, allowed=allowed)
    except AuditOut as out:
        detail = f"Nothing was done: {out}."
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after_s=5) from None


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _from_here(request: Request) -> bool:
    """Came over loopback and under its name: else a web page could rebind its own name to us."""
    arrived_at = (request.scope.get("server") or ("",))[0]
    said = request.headers.get("host", "")
    named = said if said.endswith("]") else said.rpartition(":")[0] or said
    return _loopback(arrived_at) and (named == "localhost" or _loopback(named.strip("[]")))


def _loopback(address: str) -> bool:
    """Not of a name that only begins like an address: anybody may own that."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _network(address: str) -> str:
    """An IPv4 address, or the /64 that one customer usually has of IPv6; as it is, what is none.

    A proxy's header may say anything.
    """
    try:
        said = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(said, ipaddress.IPv4Address):
        return str(said)
    return str(said.ipv4_mapped or ipaddress.ip_network((said, 64), strict=False))


#: Who asks, on a route that has a policy.
Asking = Annotated[Caller, Depends(_caller)]
