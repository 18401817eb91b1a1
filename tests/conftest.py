"""One real stack for the whole session, and a namespace of its own for each test."""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cassandra.cluster import Cluster
from hypothesis import settings as hypothesis_settings

from feature_store.settings import Settings
from infra.stack.home import Home
from infra.stack.stack import Stack
from infra.stack.topics import ensure_topics

# What tests talk to; those of serving and supervision start these parts themselves.
SERVICES = ("kafka", "redis", "cassandra", "flink-jobmanager", "flink-taskmanager", "mlflow")

# `make test` draws the same few examples every time; `make trials` draws many others each time.
hypothesis_settings.register_profile(
    "quick", max_examples=100, stateful_step_count=15, derandomize=True, deadline=None
)
hypothesis_settings.register_profile(
    "trials", max_examples=1000, stateful_step_count=40, print_blob=True, deadline=None
)
hypothesis_settings.load_profile("quick")

# Tests call from this machine without a key, unless keys are what they are about.
os.environ.setdefault("MILLRACE_SERVING_ACCESS", "local")


#: Ours, and what PyFlink's worker pool adds while a local job runs in this process: a cluster
#: started with the latter would have its Python functions run in here, with its own environment.
TOLD = ("MILLRACE_", "FLINK_", "PYFLINK_", "_PYFLINK_", "PYTHON_LOOPBACK_")


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """What a test tells the environment, or what it runs in this process, is taken back."""
    before = _told()
    yield
    for name in _told().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def garbage_is_collected_again() -> Iterator[None]:
    """`tests/flink.py` asks Python to wait with it."""
    yield
    gc.enable()


def _told() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(TOLD)}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack in a temporary home.

    `MILLRACE_TEST_STACK=<home>` uses the stack of that home, starts there what does not run,
    and leaves it running.
    """
    given = os.environ.get("MILLRACE_TEST_STACK")
    root = Path(given).resolve() if given else tmp_path_factory.mktemp("stack")
    stack = Stack(Home(root))
    stack.up(SERVICES)
    yield stack
    if not given:
        stack.down()


@pytest.fixture(scope="session")
def drop_keyspace(stack: Stack) -> Iterator[Callable[[str], None]]:
    """Forgets a namespace: every table takes memory of Cassandra's small heap, used or not."""
    host, port = stack.environment()["MILLRACE_CASSANDRA"].rsplit(":", 1)
    cluster = Cluster([host], port=int(port), connect_timeout=30)
    session = cluster.connect()

    def drop(namespace: str) -> None:
        session.execute(f"DROP KEYSPACE IF EXISTS {namespace}", timeout=60)

    yield drop
    cluster.shutdown()


@pytest.fixture
def settings(
    stack: Stack, tmp_path: Path, drop_keyspace: Callable[[str], None]
) -> Iterator[Settings]:
    """Addresses of the stack with topics, keys, keyspace, lake and bundles of this test alone."""
    settings = isolated(stack, tmp_path)
    yield settings
    drop_keyspace(settings.namespace)


def isolated(stack: Stack, root: Path) -> Settings:
    """The same for a fixture of a wider scope, with its files under `root`."""
    addresses = stack.environment()
    namespace = f"t{secrets.token_hex(6)}"
    settings = Settings(
        kafka=addresses["MILLRACE_KAFKA"],
        redis=addresses["MILLRACE_REDIS"],
        cassandra=addresses["MILLRACE_CASSANDRA"],
        mlflow=addresses["MILLRACE_MLFLOW"],
        namespace=namespace,
        lake=root / "lake",
        bundles=root / "bundles",
    )
    ensure_topics(settings)
    return settings
