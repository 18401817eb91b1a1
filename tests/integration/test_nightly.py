"""The nightly over real Kafka, Spark and MLflow: landed once, recounted right, champion by gate."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import orjson
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from nbclient import NotebookClient

from batch.differences import compare
from batch.files import read_json
from batch.history import History
from batch.lake import Lake
from batch.motion import SETTLED_MS
from batch.recount import recounted_tiles
from batch.trending import Trending
from feature_store.declaration import load
from feature_store.events import Interaction, decode_interaction
from feature_store.reference import Message, fold
from feature_store.settings import Settings
from feature_store.stores.base import Recent, TrendingList, UserState
from feature_store.stores.cassandra import CassandraStore
from feature_store.stores.redis import RedisStore
from feature_store.tiles import DAY as DAYS
from feature_store.tiles import HOUR as HOURS
from feature_store.tiles import Tile, Version, encode_body
from feature_store.topics import INTERACTIONS, ITEMS
from feature_store.trending import LISTED, POPULAR
from infra.rebuild import from_lake, rebuild
from infra.stack.home import REPOSITORY
from infra.stack.jars import jars
from infra.stack.stack import Stack
from models.bundle import Bundle
from models.registry import Registry
from models.retrieval import TRENDING_WINDOW, retrieve
from tests.builders import DAY, HOUR
from tests.conftest import isolated
from tests.integration.test_serving import list_for, serving, status, wait_for

USERS, DAYS_OF_HISTORY = 24, 24
NOTEBOOKS = REPOSITORY / "notebooks"
NOW = time.time_ns() // 1_000_000


def purchases() -> list[dict[str, object]]:
    """Everybody buys three things of a taste of their own, every other day."""
    return [
        {
            "event_id": f"{user}-{day}-{item}", "user_id": f"u{user}", "item_id": f"i{item}",
            "type": "purchase", "event_time": NOW - day * DAY - user * HOUR // 60, "price": 1.5,
        }
        for user in range(USERS)
        for day in range(user % 2, DAYS_OF_HISTORY, 2)
        for item in ((user + day) % 6, user % 6, 6 + (user * day) % 5)
    ]  # fmt: skip


def send(settings: Settings, topic: str, values: list[bytes | None], key: bytes = b"k") -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    for value in values:
        producer.send(settings.topic(topic), value, key)
    producer.flush()
    producer.close()


def command(settings: Settings, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """`spark-submit batch/nightly.py`, as the stack does it: the words and the environment."""
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    words = [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", "local[2]", "--driver-memory", "1g"),
        *("--jars", ",".join(map(str, jars("spark")))),
        *(str(REPOSITORY / "batch" / "nightly.py"), *arguments),
    ]
    return words, {**os.environ, **said(settings), **python, "SPARK_LOCAL_IP": "127.0.0.1"}


def said(settings: Settings) -> dict[str, str]:
    """Settings as environment."""
    return {f"MILLRACE_{k.upper()}": str(v) for k, v in settings.model_dump().items()}


def night(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One run of the nightly, to its end."""
    words, environment = command(settings, *arguments)
    return subprocess.run(words, env=environment, text=True, capture_output=True, check=False)


def killed_at(settings: Settings, stage: str) -> list[str]:
    """Runs the nightly and kills all of it as a line with `stage` appears; the lines until then."""
    words, environment = command(settings)
    process = subprocess.Popen(
        words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.strip())
        if stage in line:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "\n".join(lines)
    return lines


def log(settings: Settings) -> list[Message]:
    """The interactions as Kafka has them, in order of arrival."""
    topic = settings.topic(INTERACTIONS.name)
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, consumer_timeout_ms=3_000)
    consumer.assign([TopicPartition(topic, p) for p in range(INTERACTIONS.partitions)])
    consumer.seek_to_beginning()
    found = [Message(m.partition, m.offset, m.timestamp, m.value) for m in consumer]
    consumer.close()
    return sorted(found, key=lambda m: (m.append_time, m.partition, m.offset))


@dataclass(frozen=True)
class Night:
    """A night that was killed twice and then came to its end."""

    settings: Settings
    output: str
    bought: int

    @property
    def facts(self) -> dict[str, Any]:
        """Its summary."""
        facts: dict[str, Any] = read_json(self.settings.lake / "nightly.json")
        return facts


@pytest.fixture(scope="module")
def done(
    stack: Stack,
    tmp_path_factory: pytest.TempPathFactory,
    drop_keyspace: Callable[[str], None],
) -> Iterator[Night]:
    """H spans the history, as in the demo."""
    settings = isolated(stack, tmp_path_factory.mktemp("nightly"))
    settings = settings.model_copy(update={"horizon_hours": 24 * 60})
    bought: list[bytes | None] = [orjson.dumps(event) for event in purchases()]
    send(settings, INTERACTIONS.name, [*bought, bought[0], b"{broken"])
    titles = [orjson.dumps({"item_id": f"i{n}", "title": f"Thing {n}"}) for n in range(12)]
    send(settings, ITEMS.name, [*titles])
    killed_at(settings, "6/9 learn")
    killed_at(settings, "8/9 publish")
    last = night(settings)
    assert last.returncode == 0, last.stdout + last.stderr
    yield Night(settings, last.stdout, len(bought))
    drop_keyspace(settings.namespace)


def test_a_night_that_was_killed_goes_on_after_the_last_stage_that_finished(done: Night) -> None:
    for stage in ("2/9 validate", "3/9 recount", "4/9 reconcile", "6/9 learn", "7/9 judge"):
        (line,) = [x for x in done.output.splitlines() if f"{stage} … " in x]
        assert "done before" in line
    assert "going on with night" in done.output
    topic = done.settings.topic(INTERACTIONS.name)
    assert done.facts["landed"][topic] == {"rows": done.bought + 2, "invalid": 1}


def test_a_night_trains_and_promotes_what_serving_can_load(done: Night) -> None:
    settings, facts = done.settings, done.facts
    assert not facts["gate"]["reasons"], facts["gate"]
    registry = Registry(settings.mlflow, settings.namespace)
    champion = registry.champion()
    assert champion is not None
    assert champion.bundle_id == facts["bundle"]
    fetched = registry.fetch(champion, settings.bundles / "elsewhere")
    bundle = Bundle.load(fetched, load(settings.features))
    click = Recent(NOW, "c", "click", "i3", 1, 0, "")
    found = retrieve(bundle.sources, UserState("new", recents=(click,)), NOW)
    assert "own" in found.offered_by([found.positions.tolist().index(bundle.index_of["i3"])])[0]
    assert [v.bundle_id for v in registry.versions()] == [facts["bundle"]]


def test_an_analyst_finds_one_run_with_children_pictures_a_card_and_its_data(done: Night) -> None:
    import mlflow

    client = mlflow.MlflowClient(done.settings.mlflow)
    champion = Registry(done.settings.mlflow, done.settings.namespace).champion()
    assert champion is not None
    run = client.get_run(champion.run_id)
    below = f"tags.mlflow.parentRunId = '{champion.run_id}'"
    children = client.search_runs([run.info.experiment_id], below)
    assert {child.info.run_name for child in children} >= {
        "sources",
        "evaluation",
        "stream",
        "gate",
    }
    assert {"git_commit", "offsets", "night"} <= set(run.data.tags)
    assert run.inputs.dataset_inputs[0].dataset.name == "landed log"
    pictures = {Path(file.path).stem for file in client.list_artifacts(champion.run_id, "plots")}
    assert pictures >= {"lists", "factor_norms", "drift_kind"}
    card = registry_text(client, champion.run_id, "model_card.md")
    assert champion.bundle_id in card
    assert "items bought before" in card


def registry_text(client: Any, run_id: str, path: str) -> str:
    return Path(client.download_artifacts(run_id, path)).read_text()


def test_pyfunc_answers_without_unpickling_anything(
    done: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    for name, value in said(done.settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", sys.path)  # loading puts the version's code before ours
    registry = Registry(done.settings.mlflow, done.settings.namespace)
    model = mlflow.pyfunc.load_model(f"models:/{registry.name}@champion")
    (items,) = model.predict(pd.DataFrame({"user_id": ["u1"]}))
    assert len(items) == 10
    assert "python_function" in model.metadata.flavors
    assert not list(Path(model.metadata.get_model_info().model_uri).rglob("*.pkl"))


def test_lists_made_in_advance_are_the_champions(done: Night) -> None:
    cassandra = CassandraStore.connect(done.settings)
    redis = RedisStore.connect(done.settings)
    try:
        listed = cassandra.read_recommendations("u1")
        assert listed is not None
        assert listed.bundle_id == done.facts["champion_bundle"]
        popular = redis.read_trending(POPULAR)
        assert popular is not None
        assert popular.segments[""]
    finally:
        cassandra.close()
        redis.close()


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_on_a_night(
    path: Path, done: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**said(done.settings), "PYTHONPATH": str(REPOSITORY)}.items():
        monkeypatch.setenv(name, value)
    redis = RedisStore.connect(done.settings)
    rebuild(redis, from_lake(done.settings, NOW), lambda part, written: None)
    redis.close()
    book = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "store notebooks without outputs"
    NotebookClient(book, timeout=300).execute()
    if "MILLRACE_KEEP_NOTEBOOKS" in os.environ:
        nbformat.write(book, Path(os.environ["MILLRACE_KEEP_NOTEBOOKS"]) / path.name)


def test_a_night_without_a_reason_to_learn_says_so_and_leaves_the_champion(done: Night) -> None:
    import mlflow

    before = done.facts
    again = night(done.settings, "--if-needed")
    assert again.returncode == 0, again.stdout + again.stderr
    facts = done.facts
    assert facts["champion_bundle"] == before["champion_bundle"]
    assert "bundle" not in facts
    assert "learn …" not in again.stdout
    assert facts["why"] in again.stdout
    client = mlflow.MlflowClient(done.settings.mlflow)
    experiment = client.get_experiment_by_name(
        Registry(done.settings.mlflow, done.settings.namespace).name
    )
    named = f"attributes.run_name = 'not learned {facts['night']}'"
    (run,) = client.search_runs([experiment.experiment_id], named)
    assert run.data.metrics["tiles"] > 0
    assert client.list_artifacts(run.info.run_id, "data_docs")


@pytest.mark.trial
def test_killed_at_ten_points_the_alias_names_the_old_or_the_new_bundle_complete(
    done: Night, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, registry = done.settings, Registry(done.settings.mlflow, done.settings.namespace)
    old = registry.champion()
    assert old is not None
    more = [{**event, "event_id": f"again-{event['event_id']}"} for event in purchases()[:300]]
    send(settings, INTERACTIONS.name, [orjson.dumps(event) for event in more])
    points = [
        *("1/9 land …", "2/9 validate …", "3/9 recount …", "6/9 learn …", "[learn] 1/3"),
        *("[learn] 3/3", "7/9 judge …", "8/9 publish …", "8/9 publish … ", "9/9 precompute …"),
    ]
    champions = set()
    for point in points:
        killed_at(settings, point)
        version = registry.champion()
        assert version is not None
        path = registry.fetch(version, settings.bundles / f"at-{len(champions)}")
        champions.add(Bundle.load(path, load(settings.features)).id)
    last = night(settings)
    assert last.returncode == 0, last.stdout + last.stderr
    facts = done.facts
    assert champions <= {old.bundle_id, facts["bundle"]}
    assert [v.bundle_id for v in registry.versions()] == [facts["bundle"], old.bundle_id]
    before = read_json(settings.lake / "nightly.json")["version"]
    assert night(settings).returncode == 0
    assert done.facts["version"] == before
    told = {"trial": "nightly killed", "points": len(points), "champions": len(champions)}
    with capsys.disabled():
        print(f"\n{json.dumps(told)}", flush=True)


def test_a_served_vector_that_is_not_what_the_log_says_keeps_a_model_from_serving(
    done: Night, tmp_path: Path
) -> None:
    settings = done.settings
    fill_redis(settings)
    counted_twice(settings, "u3")
    whole, skewed = asked(settings, tmp_path / "log", "u1", "u3")

    again = night(settings)

    assert again.returncode == 0, again.stdout + again.stderr
    skew = done.facts["skew"]
    assert skew["mismatched"] == skewed, skew
    assert skew["compared"] >= whole + skewed
    windows = {f"user_purchases_{name}" for name in ("24h", "7d", "28d", "lifetime")}
    assert set(skew["columns"]) == {*windows, "user_active_days"}, skew
    registry = Registry(settings.mlflow, settings.namespace)
    refused, champion = registry.version(done.facts["version"]), registry.champion()
    assert champion is not None
    assert champion.version != refused.version
    assert f"{skewed} served vectors differ" in refused.tags["gate_reasons"]


def fill_redis(settings: Settings) -> None:
    """What the stream would have written by now, and the list that is trending."""
    redis = RedisStore.connect(settings)
    rebuild(redis, from_lake(settings, NOW), lambda part, written: None)
    events = [decode_interaction(orjson.dumps(event), NOW) for event in purchases()]
    past = History.build([e for e in events if isinstance(e, Interaction)], {})
    now = time.time_ns() // 1_000_000
    listed = Trending(past).top(now, LISTED)
    redis.publish_trending(TrendingList(TRENDING_WINDOW, now, {"": listed}))
    redis.close()


def counted_twice(settings: Settings, actor: str) -> None:
    """Planted: tiles of today that hold more purchases than there were."""
    redis = RedisStore.connect(settings)
    body = encode_body({"purchases": 99})
    redis.write_tiles(
        Tile("user", actor, level, Version.of_tile(level.start(NOW), 0, 99), body)
        for level in (HOURS, DAYS)
    )
    redis.close()


def asked(settings: Settings, log: Path, *actors: str) -> list[int]:
    """Asks the API for lists once everything has settled; how many items each has."""
    time.sleep(max(0.0, (NOW + 2 * SETTLED_MS) / 1_000 - time.time()))
    with serving(settings, log) as http:
        wait_for(lambda: status(http, "/health/ready") == 200)
        wait_for(lambda: list_for(http, "nobody")["degraded"] == [])
        return [len(list_for(http, actor)["items"]) for actor in actors]


def test_the_next_night_adds_only_what_is_new_and_recounts_right(done: Night) -> None:
    """After the comparison of vectors, which wants two minutes without an event before it."""
    settings, topic = done.settings, done.settings.topic(INTERACTIONS.name)
    leftover = settings.lake / "log" / topic / "a-killed-run"
    leftover.mkdir()
    (leftover / "part-0.parquet").write_bytes(b"half a file")
    later = {**purchases()[0], "event_id": "later"}
    send(settings, INTERACTIONS.name, [orjson.dumps(later)])

    again = night(settings, "--recount-only")

    assert again.returncode == 0, again.stdout + again.stderr
    landed = Lake(settings.lake).landed(topic)
    messages = log(settings)
    assert landed.rows == len(messages) == done.bought + 3
    reference = fold(load(settings.features), messages, settings.horizon_ms)
    same = compare("reference", reference.tiles(), recounted_tiles(Lake(settings.lake)), {})
    assert same.equal, same


def test_corrupt_data_is_refused_with_a_run_that_says_why(settings: Settings) -> None:
    import mlflow

    send(settings, INTERACTIONS.name, [orjson.dumps(one) for one in purchases()[:300]])
    send(settings, INTERACTIONS.name, [b"{broken"] * 100)

    refused = night(settings)

    assert refused.returncode == 1, refused.stdout
    assert "The data gate refused" in refused.stdout + refused.stderr
    assert "data_docs/index.html" in refused.stdout + refused.stderr
    assert Registry(settings.mlflow, settings.namespace).champion() is None
    client = mlflow.MlflowClient(settings.mlflow)
    experiment = client.get_experiment_by_name(f"millrace-{settings.namespace}")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.gate = 'data refused'")
    assert "invalid_share" in run.data.tags["mlflow.note.content"]
    docs = client.list_artifacts(run.info.run_id, "data_docs")
    assert "index.html" in {Path(x.path).name for x in docs}


def test_nothing_landed_is_refused_in_a_sentence(settings: Settings) -> None:
    done = night(settings)
    assert done.returncode == 1
    assert "The data gate refused" in done.stdout  # spark-submit merges the two outputs
    assert "Traceback" not in done.stdout
