"""What the description of the API promises holds, whatever is sent: all checks of schemathesis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.schemas import OpenApiSchema

from serving.security import Access
from serving.settings import ServingSettings
from tests.unit.serving.test_security import bearer, key
from tests.unit.serving.world import World

QUICK, LONG = 8, 300
#: Bodies keep rules that no schema says: a user or a session, the same user as in the path, times
#: that have come. So for them alone, a body that fits the schema may still be refused, by a 422.
WITH_BODIES = {
    "include-method": ["POST", "PUT"],
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "422"]}},
}
#: All checks run but `max_response_time`: no test of ours asserts on the clock. Of the others, four
#: find nothing to look at: `use_after_free` (nothing is deleted), `ensure_resource_availability`
#: (no POST makes a thing with an address: 202 means that Kafka has it), `missing_required_header`
#: (none is wanted but the key's, which `ignored_auth` takes away) and `object_level_authorization`
#: (it follows ids that one user was given; ours are chosen by the app, and `test_security.py` asks
#: for another user on every route).
Described = Callable[[int], OpenApiSchema]


@pytest.fixture(scope="module")
def world(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The shop when everybody needs a key, and nobody a quota."""
    home = tmp_path_factory.mktemp("keys")
    rules = ServingSettings(
        access=Access.KEYS,
        keys=home / "keys.json",
        audit=home / "audit.jsonl",
        per_s=1e6,
        burst=10**6,
    )
    return World(root=shelf, rules=rules).settle()


@pytest.fixture(scope="module")
def described(world: World) -> Described:
    """The API as it describes itself, with a key for everything, and so many examples of each."""

    def describe(examples: int) -> OpenApiSchema:
        said = {
            "headers": bearer(key(world)),
            "cache": {"enabled": False},
            "suppress-health-check": ["all"],
            "operations": [WITH_BODIES],
            "continue-on-failure": True,
            "generation": {
                "with-security-parameters": False,
                "max-examples": examples,
                "deterministic": examples == QUICK,  # the few of every day are always the same
                "database": "none",
            },
        }
        config = SchemathesisConfig.from_dict(said)
        return from_asgi("/openapi.json", world.http.app, config=config)

    return describe


def test_the_api_is_what_it_says(described: Described) -> None:
    found = complaints(described(QUICK))
    assert not found, "\n\n".join(found)


@pytest.mark.trial
def test_the_api_is_what_it_says_at_length(described: Described) -> None:
    found = complaints(described(LONG))
    assert not found, "\n\n".join(found)


def complaints(described: OpenApiSchema) -> list[str]:
    """What is wrong: after examples, limits of the schema, wrong methods, chance, and sequences."""
    found: dict[str, None] = {}
    for event in from_schema(described).execute():
        match event:
            case events.ScenarioFinished():
                found |= dict.fromkeys(failures(event.recorder))
            case events.NonFatalError():
                found[f"{event.label}: {event.info.format()}"] = None
            case events.FatalError():
                raise event.exception
    return list(found)


def failures(recorder: ScenarioRecorder) -> list[str]:
    """The checks that failed in a scenario, each with a request that makes it fail."""
    failed = (
        (check.name, check.failure_info)
        for checks in recorder.checks.values()
        for check in checks
        if check.failure_info
    )
    return [
        f"{recorder.label}: {name}: {info.failure}\n{info.code_sample}" for name, info in failed
    ]
