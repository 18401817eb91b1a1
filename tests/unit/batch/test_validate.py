"""The data gate: every fault of a day shuts it for the right reason, and real days pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from batch.day_profile import DayProfile, day_of, profiles
from batch.expectations import Subject, examine
from batch.lake import Lake
from batch.session import session
from batch.suites import DAY, FEWEST_DAYS, LOG, RECENT_DAYS, judged
from batch.validate import DataRefused, Report, accept, validate
from feature_store.settings import Settings
from feature_store.tiles import DAY_MS, HOUR_MS
from feature_store.topics import INTERACTIONS, ITEMS, PROFILES
from tests.unit.batch.days import Body, catalogue, categories, days, decoded, land

#: The day of 2017 to which the faults are done, an ordinary Thursday in autumn.
LAST = 263
#: So many days up to it are judged as they are.
CLEAN = 20
SETTINGS = Settings()
Fault = Callable[[list[Body]], list[Body]]


def each(**changed: Any) -> Fault:
    """Fields set in every event; a function gets the event's own value."""

    def apply(body: Body, name: str) -> Any:
        value = changed[name]
        return value(body) if callable(value) else value

    return lambda day: [{**body, **{name: apply(body, name) for name in changed}} for body in day]


def some(share: float, fault: Fault) -> Fault:
    """A fault of some of the events, spread evenly."""

    def apply(day: list[Body]) -> list[Body]:
        chosen = [int((n + 1) * share) > int(n * share) for n in range(len(day))]
        parts = (fault([one]) if hit else [one] for one, hit in zip(day, chosen, strict=True))
        return [body for part in parts for body in part]

    return apply


def without(name: str) -> Fault:
    return lambda day: [{k: v for k, v in body.items() if k != name} for body in day]


def only(keep: Callable[[Body], bool]) -> Fault:
    return lambda day: [body for body in day if keep(body)]


def moved(hours: int) -> Fault:
    """Every event so many hours later on the same day, round the clock."""

    def move(body: Body) -> int:
        time = int(body["event_time"])
        return time - time % DAY_MS + (time + hours * HOUR_MS) % DAY_MS

    return each(event_time=move)


def again(name: str) -> Fault:
    """Everything once more, under other ids (`name` is put before them)."""
    return lambda day: [*day, *each(event_id=lambda b: name + b["event_id"])(day)]


def context(**changed: Any) -> Fault:
    return each(context=lambda body: {**body["context"], **changed})


def from_one_department(day: list[Body]) -> list[Body]:
    items = [item for item, of in categories().items() if of == "PASTRY"]
    return each(item_id=lambda body: items[hash_of(body) % len(items)])(day)


def hash_of(body: Body) -> int:
    return sum(body["event_id"].encode())


#: What is done to a day -> the check that must complain.
FAULTS: dict[str, tuple[Fault, str]] = {
    "nothing came": (lambda day: [], "events"),
    "times in seconds": (each(event_time=lambda b: b["event_time"] // 1000), "events"),
    "half the rows": (only(lambda b: hash_of(b) % 2 == 0), "volume"),
    "a second producer with other ids": (again("x"), "volume"),
    "sent twice": (lambda day: [*day, *day], "copies"),
    "a third sent twice": (lambda day: [*day, *day[::3]], "copies"),
    "a missing column": (without("type"), "invalid_share"),
    "a column missing in a tenth": (some(0.1, without("type")), "invalid_share"),
    "a retyped column": (each(price=lambda b: str(b["price"])), "invalid_share"),
    "a tenth of the ids are null": (some(0.1, each(event_id=None)), "invalid_share"),
    "an unknown version": (each(schema_version=2), "invalid_share"),
    "a tenth of the prices are null": (some(0.1, each(price=None)), "unpriced"),
    "prices in cents": (each(price=lambda b: b["price"] * 100), "price"),
    "prices in hundreds": (each(price=lambda b: b["price"] / 100), "price"),
    "quantities in grams": (each(quantity=lambda b: min(b["quantity"] * 1000, 100_000)), "bulk"),
    "quantities in half dozens": (each(quantity=lambda b: b["quantity"] * 6), "quantity"),
    "a time zone east": (moved(5), "hour_shift"),
    "a time zone west": (moved(-8), "hour_shift"),
    "dates without times": (each(event_time=lambda b: b["event_time"] // DAY_MS * DAY_MS),
                            "hour_mix"),
    "one user is 40 %": (some(0.4, each(user_id="bot")), "busiest_actor"),
    "one item is 40 %": (some(0.4, each(item_id="1082185")), "busiest_item"),
    "most users are missing": (only(lambda b: int(b["user_id"][1:]) % 8 == 0), "actors"),
    "a user for each event": (each(user_id=lambda b: "u" + b["event_id"]), "actors"),
    "views became clicks": (each(type=lambda b: "click" if b["type"] == "view" else b["type"]),
                            "type_mix"),
    "no purchases": (only(lambda b: b["type"] != "purchase"), "types_gone"),
    "one department": (from_one_department, "category_mix"),
    "other item ids": (each(item_id=lambda b: "sku-" + b["item_id"]), "unknown"),
    "a tenth without a country": (some(0.1, context(country=None)), "no_country"),
    "no devices": (context(device=None), "no_device"),
}  # fmt: skip


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return session("validate")


@pytest.fixture(scope="module")
def month() -> list[list[Body]]:
    """The recent days of every clean day, and these: the last one is the one that gets faults."""
    return days(LAST + 1 - CLEAN - RECENT_DAYS, RECENT_DAYS + CLEAN)


@pytest.fixture(scope="module")
def judgements(spark: SparkSession, month: list[list[Body]]) -> dict[str, dict[str, float]]:
    """The measures of each clean day by its date, and of the last day with each of the faults.

    All are counted at once: a day with a fault is moved by so many times 20 weeks.
    """
    arrives = month[-1][-1]["event_time"] + DAY_MS
    tables = [decoded(INTERACTIONS.name, day, arrives) for day in month]
    invalid, moved = {}, {}
    for number, (name, (fault, _)) in enumerate(FAULTS.items(), 1):
        table = decoded(INTERACTIONS.name, fault(month[-1]), arrives)
        invalid[name] = (len(table) - table["reason"].null_count) / max(1, len(table))
        moved[name] = number * 140 * DAY_MS
        place = table.schema.get_field_index("event_time")
        times = pa.compute.add(table["event_time"], moved[name])
        tables.append(table.set_column(place, "event_time", times))
    found = counted(spark, pa.concat_tables(tables))
    ordered = [day_of(day[0]["event_time"]) for day in month]
    clean = {
        day: judged(found[day], [found[one] for one in ordered[at : at + RECENT_DAYS]])
        for at, day in enumerate(ordered[RECENT_DAYS:])
    }
    recent = [found[day] for day in ordered[-RECENT_DAYS - 1 : -1]]
    for name, by in moved.items():
        day = day_of(month[-1][0]["event_time"] + by)
        measures = judged(found.get(day, DayProfile(day)), recent)
        clean[name] = {"invalid_share": invalid[name], **measures}
    return clean


def counted(spark: SparkSession, rows: pa.Table) -> dict[str, DayProfile]:
    """Every day of decoded rows."""
    accepted = rows.filter(pa.compute.is_null(rows["reason"]))
    spark.createDataFrame(accepted).createOrReplaceTempView("events")
    of = categories()
    items = pa.table({"item_id": [*of], "category": [*of.values()]})
    spark.createDataFrame(items).createOrReplaceTempView("items")
    return profiles(spark, "events", "items", "never")


def complaints(worlds: dict[str, dict[str, float]], docs: Path) -> dict[str, list[str]]:
    """The measures that the suites complain of, by the name of the world."""
    checks = [*DAY, *LOG]
    sentences = examine([Subject(name, told, checks) for name, told in worlds.items()], docs)
    found: dict[str, list[str]] = {name: [] for name in worlds}
    for sentence in sentences:
        name, _, complaint = sentence.partition(": ")
        found[name].append(complaint.split()[0])
    return found


@pytest.fixture(scope="module")
def complained(
    judgements: dict[str, dict[str, float]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """What the gate says of each fault, and of none."""
    return complaints(judgements, tmp_path_factory.mktemp("docs"))


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 20


def test_of_twenty_real_days_at_most_one_is_stopped(complained: dict[str, list[str]]) -> None:
    clean = {name: why for name, why in complained.items() if name not in FAULTS}
    assert len(clean) == CLEAN
    assert len([name for name, why in clean.items() if why]) <= 1, clean
    assert not clean[max(clean)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_shuts_the_gate_for_the_right_reason(
    fault: str, complained: dict[str, list[str]]
) -> None:
    assert FAULTS[fault][1] in complained[fault]


def test_the_first_days_are_not_judged_by_what_is_usual() -> None:
    many = {"events": 1000.0, "actors": 100.0}
    few = [DayProfile(f"2026-03-0{n}", many) for n in range(1, FEWEST_DAYS)]
    assert judged(DayProfile("2026-03-10", {"events": 1.0}), few) == {"events": 1.0}
    assert judged(DayProfile("2026-03-10"), few) == {}
    enough = [*few, DayProfile("2026-03-08", many)]
    assert judged(DayProfile("2026-03-10", {"events": 1.0}), enough)["volume"] == 0.001


def test_a_shop_with_few_people_is_not_judged_by_what_is_usual() -> None:
    quiet = [DayProfile(f"2026-03-0{n}", {"events": 90.0, "actors": 9.0}) for n in range(1, 9)]
    assert judged(DayProfile("2026-03-10", {"events": 1.0}), quiet) == {"events": 1.0}


def report(spark: SparkSession, lake: Lake, newest: int, later_h: int = 2) -> Report:
    return validate(spark, SETTINGS, lake, lake.root / "docs", newest + later_h * HOUR_MS)


def test_nights_are_judged_once_and_a_day_that_is_right_can_be_let_pass(
    spark: SparkSession, month: list[list[Body]], tmp_path: Path
) -> None:
    lake, name = Lake(tmp_path), INTERACTIONS.name
    today = month[-1][0]["event_time"] // DAY_MS * DAY_MS
    month_rows = [body for day in month[-RECENT_DAYS - 1 :] for body in day]
    land(lake, name, decoded(name, month_rows, today + DAY_MS + 1))
    clean = report(spark, lake, today + DAY_MS)
    assert clean.failures == ()
    assert clean.days == (day_of(today),)
    assert clean.docs is not None
    assert (clean.docs / "index.html").exists()
    assert report(spark, lake, today + DAY_MS).days == ()

    copied = each(
        event_id=lambda b: "c" + b["event_id"], event_time=lambda b: b["event_time"] + DAY_MS
    )(month[-1])
    land(lake, name, decoded(name, copied, today + 2 * DAY_MS + 1))
    bad = report(spark, lake, today + 2 * DAY_MS)
    tomorrow = day_of(today + DAY_MS)
    assert [one.split(":")[1].split()[0] for one in bad.failures] == ["repeats"]
    with pytest.raises(DataRefused, match=f"day {tomorrow}: repeats .*another day.*lake accept"):
        bad.require()
    accept(lake, tomorrow, "groundhog day")
    assert report(spark, lake, today + 2 * DAY_MS).failures == ()


def test_an_empty_log_and_a_silent_one_shut_the_gate(spark: SparkSession, tmp_path: Path) -> None:
    lake, name = Lake(tmp_path), INTERACTIONS.name
    (failure,) = report(spark, lake, DAY_MS).failures
    assert "messages is 0" in failure
    body = {"event_id": "e", "user_id": "u", "item_id": "i", "type": "view", "event_time": DAY_MS}
    land(lake, name, decoded(name, [body], DAY_MS))
    assert report(spark, lake, DAY_MS).failures == ()
    (failure,) = report(spark, lake, DAY_MS, later_h=27).failures
    assert "nothing came since the night before" in failure


@pytest.mark.parametrize(
    ("topic", "said", "complaint"),
    [
        (ITEMS.name, catalogue("abcdefgh", title=""), "untitled_share"),
        (ITEMS.name, catalogue("abcdefgh", price=200.0), "price_ratio"),
        (ITEMS.name, [None] * 20, "deleted_share"),
        (ITEMS.name, catalogue("abcdefgh", price="2.00"), "invalid_share"),
        (PROFILES.name, [None] * 20, "deleted_share"),
        (ITEMS.name, catalogue("abcdefgh", price=2.1), ""),
        (PROFILES.name, [{"user_id": "3", "segment": "new"}], ""),
    ],
)
def test_a_night_of_bad_descriptions_shuts_the_gate(
    spark: SparkSession, tmp_path: Path, topic: str, said: list[Any], complaint: str
) -> None:
    lake = Lake(tmp_path)
    view = {"event_id": "e", "user_id": "u", "item_id": "a", "type": "view", "event_time": DAY_MS}
    land(lake, INTERACTIONS.name, decoded(INTERACTIONS.name, [view], DAY_MS))
    land(
        lake,
        ITEMS.name,
        decoded(ITEMS.name, catalogue([*"abcdefgh", *map(str, range(60))]), DAY_MS),
    )
    users = [{"user_id": str(n)} for n in range(60)]
    land(lake, PROFILES.name, decoded(PROFILES.name, users, DAY_MS))
    assert report(spark, lake, DAY_MS).failures == ()
    first = lake.landed(topic).offsets["0"]
    land(lake, topic, decoded(topic, said, DAY_MS + 1, first))
    found = report(spark, lake, DAY_MS).failures
    assert [sentence.split()[1] for sentence in found] == ([complaint] if complaint else [])
