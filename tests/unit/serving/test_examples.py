"""The examples of docs/api.md, in a shell and in Python, against the app over a real socket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from serving.app import app_of
from tests.unit.serving.world import World

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"
PYTHON_ADDRESS = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    """The document's examples in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)


@contextmanager
def listening(world: World) -> Iterator[str]:
    """The world's app on a port of its own."""
    config = uvicorn.Config(app_of(world.parts), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ends = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < ends, "the server did not start"
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def test_every_example_of_the_document_works_as_written(world: World) -> None:
    examples = blocks("bash")
    assert len(examples) > 5
    with listening(world) as address:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(examples)],
            env=os.environ | {"MILLRACE_SERVING": address},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert ran.returncode == 0, ran.stderr
    kinds = [message.topic for message in world.kafka.acknowledged]
    assert kinds == ["user-interactions", "user-interactions", "user-profile-updates"]


def test_the_python_example_prints_a_list_and_sends_its_feedback(world: World) -> None:
    (example,) = blocks("python")
    assert PYTHON_ADDRESS in example
    with listening(world) as address:
        program = example.replace(PYTHON_ADDRESS, address)
        command = [sys.executable, "-c", program]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 5
    assert [message.topic for message in world.kafka.acknowledged] == ["user-interactions"]
