"""The reader in the JVM is sure only of what the contract accepts, and then reads the same."""

from __future__ import annotations

import json
import os
import re
from random import Random
from typing import Any

import orjson
import pytest

from feature_store.events import Interaction, InteractionMessage, decode_interaction
from feature_store.reference import Message
from streaming import sources, steps
from tests.builders import NOON
from tests.flink import arrived, local_flink

pytestmark = pytest.mark.generative

SEED = int(os.environ.get("MILLRACE_SEED", "7"))
MESSAGES = 20_000
NAMES = tuple(name for name, _ in sources.INTERACTION)

GOOD: dict[str, Any] = {
    "schema_version": 1,
    "event_id": "e-1",
    "user_id": "ann",
    "session_id": "s",
    "item_id": "milk",
    "type": "purchase",
    "event_time": NOON,
    "quantity": 2,
    "price": 1.15,
    "value": 4.5,
    "query": "oat milk",
    "context": {"country": "NO", "device": "phone", "page": "home", "more": [1, {"a": None}]},
    "unknown": {"deep": ["x", -1.5e3, True]},
}
#: Values at every border of the contract, and of JSON.
ODD = (
    None, True, 0, -0, 1, -1, 2, 1.0, -0.0, 0.005, 1.005, 1e6, 1e6 + 1, 1e-9, 123456.78, 0.1 + 0.2,
    100_000, 100_001, 10**15, 10**16, 2**53 + 1, 10**25, 253_402_300_799_000, 253_402_300_799_001,
    NOON + 300_000, NOON + 300_001, "", "a", "view", "search", "rating", "anon:x", "anon:",
    "x" * 64, "x" * 65, "x" * 256, "x" * 257, "é" * 64, "é" * 256, "💧" * 64, "💧" * 257,
    "a\x00b", "a\x1fb", "a\x7fb", "a\x80b", "a\u2028b", "\ufeff", 'quo"te\\', "tab\t", "日本",
    [], ["a"], {}, {"country": "SE"}, {"country": None}, {"country": 1}, {"country": "x" * 65},
)  # fmt: skip
#: Spellings that a value may have in place of the usual one.
SPELLINGS = (
    b"1.0", b"1e3", b"1E+2", b"-0", b"01", b"+1", b".5", b"1.", b"1.50", b"115e-2", b"1e999",
    b"0.10000000000000000001", b"123456789012345678901234567890", b"1e-999", b"NaN", b"Infinity",
    b"-Infinity", b'"\\u0061nn"', b'"\\ud83d\\udca7"', b'"\\ud800"', b'"\\udca7\\ud83d"', b'"\\x"',
    b'"\\u12"', b'"a\\/b"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b"'a'",
    b'"\xf0\x9f\x92\xa7"', b"tru", b"nul", b"True", b"[" * 40 + b"]" * 40, b"[" * 300 + b"]" * 300,
    b'{"a":1,"a":2}', b'{"country":"A","country":"B"}', b"1 ", b" 1", b"1,", b"", b'"a" "b"',
    b"/**/1",
)  # fmt: skip
BYTES = b'{}[]":,\\/ \n\t\x00\x7f\x80\xc3\xed\xf0\xffeE+-.019antu'


def mutated(random: Random) -> bytes:
    """A message that is good, or a step or two away from it."""
    fields = {n: v for n, v in GOOD.items() if n in ("event_id", "type") or random.random() < 0.8}
    for _ in range(random.choice((0, 1, 1, 2))):
        fields[random.choice(tuple(GOOD))] = random.choice(ODD)
    parts = [b'"%s":%s' % (name.encode(), _spelled(value)) for name, value in fields.items()]
    if random.random() < 0.3:
        name = random.choice(tuple(GOOD)).encode()
        parts.append(b'"%s":%s' % (name, random.choice(SPELLINGS)))
    if random.random() < 0.1:
        parts[random.randrange(len(parts))] = b'"event\\u005fid":"a"'
    random.shuffle(parts)
    message = bytearray(b"{" + random.choice((b",", b", ", b" ,\n")).join(parts) + b"}")
    if random.random() < 0.3:
        place = random.randrange(len(message) + 1)
        message[place : place + random.choice((0, 1, 1, 3))] = bytes([random.choice(BYTES)])
    if random.random() < 0.02:
        wide = bytes(message).decode("latin1").encode("utf-16")
        return random.choice((b"", b"[]", b'""', b"1", b"null", wide))
    return bytes(message)


def _spelled(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # beyond 64 bits
        return str(value).encode()


@pytest.fixture(scope="module")
def log() -> list[Message]:
    random = Random(SEED)
    return [Message(0, offset, NOON, mutated(random)) for offset in range(MESSAGES)]


@pytest.fixture(scope="module")
def sure(log: list[Message]) -> dict[int, tuple[Any, ...]]:
    """What the JVM is sure of: fields by offset, told apart by their append time."""
    t_env = local_flink()
    numbered = [Message(0, 0, NOON + m.offset, m.value) for m in log]
    read, _ = steps.read_interactions(t_env, arrived(t_env, numbered))
    with read.execute().collect() as rows:
        return {row[0] - NOON: tuple(row)[1:-1] for row in rows}


def judged(message: Message) -> tuple[Any, ...] | None:
    """What the contract says, in the order of the columns."""
    event = decode_interaction(message.value, NOON + message.offset)
    if not isinstance(event, Interaction):
        return None
    named = {"query_text": "query"}
    return tuple(getattr(event, named.get(name, name)) for name in NAMES)


def test_what_the_jvm_is_sure_of_the_contract_reads_the_same(
    log: list[Message], sure: dict[int, tuple[Any, ...]]
) -> None:
    for message in log:
        if message.offset in sure:
            assert sure[message.offset] == judged(message), (SEED, message.value)


def test_the_jvm_is_sure_of_all_that_the_contract_accepts_if_it_is_spelled_plainly(
    log: list[Message], sure: dict[int, tuple[Any, ...]]
) -> None:
    plain = [m for m in log if judged(m) and is_plain(m.value or b"")]
    assert len(plain) > MESSAGES // 10
    assert [m.value for m in plain if m.offset not in sure] == []


def is_plain(value: bytes) -> bool:
    """No field is said twice, no name has escapes, no number is beyond numbers."""

    def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("said twice")
        return dict(pairs)

    def refused(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(value, object_pairs_hook=fields, parse_constant=refused)
    except ValueError:
        return False
    return not re.search(rb'\\[^"]*"\s*:', value)


def test_the_jvm_knows_every_field_of_the_contract() -> None:
    assert GOOD.keys() - {"unknown"} == set(InteractionMessage.model_fields)
