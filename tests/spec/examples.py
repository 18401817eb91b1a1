"""The meaning of the declaration, as examples: what is sent, and what the tiles then say."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.builders import (
    DAY,
    HOUR,
    MINUTE,
    NOON,
    Sent,
    cart,
    click,
    dislike,
    purchase,
    search,
    view,
)

#: H of every example.
HORIZON = 30 * DAY
MIDNIGHT = NOON - 12 * HOUR


@dataclass(frozen=True)
class Example:
    """Messages in the order of the log, and some tiles they leave: (entity, id, level, start).

    `None` says that there is no such tile. Values are the features' values; `applied` is how many
    events the tile has seen.
    """

    says: str
    sent: list[Sent]
    tiles: dict[tuple[str, str, str, int], dict[str, int] | None] = field(default_factory=dict)
    applied: dict[tuple[str, str, str, int], int] = field(default_factory=dict)


EXAMPLES = [
    Example(
        "an event counts once at every level, for its user and for its item",
        [view("ann", "milk", at=NOON + 1)],
        {
            ("user", "ann", "m", NOON): {"views": 1},
            ("user", "ann", "h", NOON): {"views": 1},
            ("user", "ann", "d", MIDNIGHT): {"views": 1},
            ("item", "milk", "m", NOON): {"views": 1, "engagement": 1},
            ("item", "milk", "d", MIDNIGHT): {"views": 1, "engagement": 1},
        },
    ),
    Example(
        "tiles are half open: the next minute starts a new one",
        [view("ann", "milk", at=NOON + MINUTE - 1), view("ann", "milk", at=NOON + MINUTE)],
        {
            ("user", "ann", "m", NOON): {"views": 1},
            ("user", "ann", "m", NOON + MINUTE): {"views": 1},
            ("user", "ann", "h", NOON): {"views": 2},
        },
    ),
    Example(
        "money is summed in minor units, half up, times the quantity",
        [
            purchase("ann", "milk", at=NOON, price=1.005, quantity=3),
            purchase("ann", "tea", at=NOON + 1, price=0.1),
        ],
        {
            ("user", "ann", "d", MIDNIGHT): {"purchases": 2, "spend_minor": 3 * 100 + 10},
            ("item", "tea", "d", MIDNIGHT): {"purchases": 1, "spend_minor": 10, "engagement": 10},
        },
    ),
    Example(
        "a copy of an event does not count, whenever it comes",
        [
            first := click("ann", "milk", at=NOON),
            first.again(),
            view("bob", "milk", at=NOON + 5),
            first.again(after=2 * DAY),
        ],
        {("item", "milk", "d", MIDNIGHT): {"clicks": 1, "views": 1, "engagement": 3}},
    ),
    Example(
        "the same event id from two actors is two events",
        [
            click("ann", "milk", at=NOON, event_id="same"),
            click("bob", "milk", at=NOON, event_id="same"),
        ],
        {("item", "milk", "d", MIDNIGHT): {"clicks": 2, "engagement": 4}},
    ),
    Example(
        "order does not matter",
        [
            cart("ann", "milk", at=NOON + 3 * MINUTE, arrives=NOON + 10 * MINUTE),
            view("ann", "milk", at=NOON, arrives=NOON + 11 * MINUTE),
        ],
        {
            ("user", "ann", "h", NOON): {"carts": 1, "views": 1},
            ("user", "ann", "m", NOON): {"views": 1},
        },
    ),
    Example(
        "an event that is late for a level's ring still counts at the wider levels",
        [
            view("ann", "milk", at=NOON, arrives=NOON + 2 * HOUR),
            view("bob", "milk", at=NOON, arrives=NOON + 3 * DAY),
        ],
        {
            ("user", "ann", "m", NOON): None,
            ("user", "ann", "h", NOON): {"views": 1},
            ("user", "bob", "h", NOON): None,
            ("user", "bob", "d", MIDNIGHT): {"views": 1},
        },
    ),
    Example(
        "an event older than H when it arrives is not applied",
        [view("ann", "milk", at=NOON, arrives=NOON + HORIZON + 1)],
        {("user", "ann", "d", MIDNIGHT): None, ("item", "milk", "d", MIDNIGHT): None},
    ),
    Example(
        "an event from the future is refused, one of a fast clock is not",
        [
            view("ann", "milk", at=NOON + 5 * MINUTE + 1, arrives=NOON),
            view("bob", "milk", at=NOON + 5 * MINUTE, arrives=NOON),
        ],
        {
            ("user", "ann", "d", MIDNIGHT): None,
            ("user", "bob", "m", NOON + 5 * MINUTE): {"views": 1},
        },
    ),
    Example(
        "a search belongs to a user and to no item",
        [search("ann", at=NOON, query="oat milk"), view("ann", "milk", at=NOON)],
        {
            ("user", "ann", "m", NOON): {"views": 1},
            ("item", "", "m", NOON): None,
        },
        applied={("user", "ann", "m", NOON): 2},
    ),
    Example(
        "dislikes take engagement away, and a sum of zero is not spelled",
        [
            cart("ann", "milk", at=NOON),
            dislike("bob", "milk", at=NOON + 1),
        ],
        {("item", "milk", "m", NOON): {"carts": 1}},
        applied={("item", "milk", "m", NOON): 2},
    ),
    Example(
        "messages that break the contract change nothing",
        [
            Sent(b"\xff{", NOON),
            Sent(b'{"schema_version":2}', NOON),
            Sent({"event_id": "e", "user_id": "ann", "type": "view", "event_time": NOON}, NOON),
            view("ann", "milk", at=NOON),
        ],
        {("user", "ann", "d", MIDNIGHT): {"views": 1}},
    ),
    Example(
        "an anonymous session is an actor of its own",
        [view(None, "milk", at=NOON, session_id="s1")],
        {("user", "anon:s1", "d", MIDNIGHT): {"views": 1}},
    ),
]
