"""What somebody tells us in confidence appears in no log, metric or error."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from feature_store.stores.base import Recent
from models.announced import Announced
from models.registry import Registry, RegistryUnavailable
from serving.logs import LOGGER, JsonFormatter
from serving.security import Access
from serving.settings import ServingSettings
from tests.unit.serving.test_security import bearer, key
from tests.unit.serving.world import Make

PLANTED = "pLaNtEd-7f3a"


@pytest.fixture
def written() -> Any:
    """Every line that the API's log gets, as it is written."""
    lines: list[str] = []
    logger = logging.getLogger(LOGGER)

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonFormatter().format(record))

    keep = Keep(logging.DEBUG)
    level = logger.level
    logger.addHandler(keep)
    logger.setLevel(logging.DEBUG)
    yield lines
    logger.setLevel(level)
    logger.removeHandler(keep)


def test_a_password_in_the_address_of_mlflow_is_found_nowhere(
    make: Make,
    written: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    caplog.set_level(logging.DEBUG)
    champion = make().parts.champion
    address = f"http://{PLANTED}:{PLANTED}@127.0.0.1:9"
    monkeypatch.setattr(champion, "_registry", Announced(address, patience_s=1))
    champion.turn()
    (line,) = (line for line in written if "registry unavailable" in line)
    assert "http://127.0.0.1:9" in line
    assert not [text for text in (*written, caplog.text) if PLANTED in text]
    with pytest.raises(RegistryUnavailable) as raised:
        Registry(address, patience_s=1).versions()
    assert PLANTED not in "".join(traceback.format_exception(raised.value))


def test_planted_secrets_are_found_nowhere(make: Make, tmp_path: Path, written: list[str]) -> None:
    rules = ServingSettings(
        access=Access.KEYS, keys=tmp_path / "keys.json", audit=tmp_path / "audit.jsonl"
    )
    world = make(rules=rules)
    token = key(world)
    headers = bearer(token) | {"Cookie": f"session={PLANTED}", "X-Secret": PLANTED}
    click = {"user_id": PLANTED, "item_id": PLANTED, "type": "search", "query": PLANTED}
    bad = click | {"quantity": PLANTED}
    answers = [
        world.http.get(f"/api/users/{PLANTED}", headers=headers),
        world.http.get(f"/api/items/{PLANTED}", headers=headers),
        world.http.get("/api/items", headers=headers, params={"limit": PLANTED}),
        world.http.get("/api/items", headers=bearer(PLANTED)),
        world.http.get("/api/items", headers=bearer(f"mr_{PLANTED}_{PLANTED}")),
        world.http.post("/api/interactions", headers=headers, json=bad),
        world.http.post("/api/interactions", headers=headers, content=f"{{{PLANTED}"),
        world.http.put(f"/api/users/{PLANTED}", headers=headers, json={"country": [PLANTED]}),
    ]
    assert all(400 <= answer.status_code < 500 for answer in answers)
    world.kafka.out = True
    answers.append(world.http.post("/api/interactions", headers=headers, json=click))
    assert answers[-1].status_code == 503
    assert world.http.get(f"/api/recommendations/{PLANTED}", headers=headers).status_code == 200
    said = [*(answer.text for answer in answers), *written]
    said.append(world.http.get("/metrics", headers=headers).text)
    said.append((tmp_path / "keys.json").read_text())
    secrets = (PLANTED, token.split("_", 2)[2])
    assert not [text for text in said for secret in secrets if secret in text]
    assert len(written) > 1, "nothing was logged: the test sees no log"


def test_a_damaged_interaction_is_reported_without_what_it_says(
    make: Make, written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, kept = make(), json.dumps([PLANTED, "noon", PLANTED, PLANTED, 1, 100, PLANTED])
    monkeypatch.setattr(world.hot, "read_user", lambda *_: Recent.decode(kept))
    world.list_for("ann")
    (line,) = (line for line in written if "no interaction as a store keeps it" in line)
    assert "(str, str, str, str, int, int, str)" in line
    assert not [text for text in written if PLANTED in text]
