"""What the description of the API promises holds, whatever is sent: all checks of schemathesis."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from serving.security import Access
from serving.settings import ServingSettings
from tests.unit.serving.test_security import bearer, key
from tests.unit.serving.world import World

QUICK, LONG = 8, 300
#: Bodies keep rules that no schema says: a user or a session, the same user as in the path, times
#: that have come. So for them alone, a body that fits the schema may still be refused.
WITH_BODIES = ("POST", "PUT")


def drawn(examples: int) -> hypothesis_settings:
    """So many examples of each operation; the few of every day are always the same."""
    return hypothesis_settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples == QUICK,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


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
def described(world: World) -> OpenApiSchema:
    """The API as it describes itself, with a key for everything."""
    said = {"headers": bearer(key(world)), "generation": {"with-security-parameters": False}}
    config = SchemathesisConfig.from_dict(said)
    return from_asgi("/openapi.json", world.http.app, config=config)


def test_the_api_is_what_it_says(described: OpenApiSchema) -> None:
    found = complaints(described, QUICK)
    assert not found, "\n\n".join(found)


@pytest.mark.trial
def test_the_api_is_what_it_says_at_length(described: OpenApiSchema) -> None:
    found = complaints(described, LONG)
    assert not found, "\n\n".join(found)


def complaints(described: OpenApiSchema, examples: int) -> list[str]:
    """What is wrong, for each operation that does not keep its word."""
    found = []
    for one in described.get_all_operations():
        operation = one.ok()

        @drawn(examples)
        @given(st.one_of([operation.as_strategy(mode) for mode in GenerationMode]))
        def keeps_its_word(case: schemathesis.Case) -> None:
            beyond = [positive_data_acceptance] if case.method in WITH_BODIES else []
            case.call_and_validate(excluded_checks=beyond)

        try:
            keeps_its_word()
        except (Failure, FailureGroup) as wrong:
            found.append(f"{operation.label}: {wrong}")
    return found
