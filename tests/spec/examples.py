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
    like,
    purchase,
    remove,
    search,
    view,
)

#: H of every example.
HORIZON = 30 * DAY
MIDNIGHT = NOON - 12 * HOUR

#: A tile: (entity, id, level, start).
Address = tuple[str, str, str, int]


@dataclass(frozen=True)
class Example:
    """Messages in the order of the log, and some tiles they leave.

    `None` says that there is no such tile. Values are the features' values; of a sketch they are
    the actors, of whom the tile holds the hashes. `applied` is how many events the tile has seen.
    """

    says: str
    sent: list[Sent]
    tiles: dict[Address, dict[str, int | set[str]] | None] = field(default_factory=dict)
    applied: dict[Address, int] = field(default_factory=dict)


EXAMPLES = [
    Example(
        "an event counts once at every level, for its user and for its item",
        [view("ann", "milk", at=NOON + 1)],
        {
            ("user", "ann", "m", NOON): {"views": 1, "engagement": 1},
            ("user", "ann", "h", NOON): {"views": 1},
            ("user", "ann", "d", MIDNIGHT): {"views": 1, "engagement": 1},
            ("item", "milk", "m", NOON): {"views": 1, "engagement": 1},
            ("item", "milk", "h", NOON): {"views": 1, "engagement": 1},
            ("item", "milk", "d", MIDNIGHT): {"views": 1, "engagement": 1, "actors": {"ann"}},
        },
    ),
    Example(
        "a tile holds only what a window reads from its level",
        [purchase("ann", "milk", at=NOON, price=1.0)],
        {
            ("user", "ann", "m", NOON): {"engagement": 10},
            ("user", "ann", "h", NOON): {"purchases": 1},
            ("item", "milk", "h", NOON): {"purchases": 1, "engagement": 10},
        },
        applied={("user", "ann", "m", NOON): 1},
    ),
    Example(
        "tiles are half open: the next minute starts a new one",
        [view("ann", "milk", at=NOON + MINUTE - 1), view("ann", "milk", at=NOON + MINUTE)],
        {
            ("user", "ann", "m", NOON): {"views": 1, "engagement": 1},
            ("user", "ann", "m", NOON + MINUTE): {"views": 1, "engagement": 1},
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
            ("user", "ann", "d", MIDNIGHT): {
                "purchases": 2,
                "units": 4,
                "spend_minor": 3 * 100 + 10,
                "engagement": 20,
            },
            ("item", "tea", "d", MIDNIGHT): {
                "purchases": 1,
                "units": 1,
                "spend_minor": 10,
                "engagement": 10,
                "actors": {"ann"},
            },
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
        {
            ("item", "milk", "d", MIDNIGHT): {
                "clicks": 1,
                "views": 1,
                "engagement": 3,
                "actors": {"ann", "bob"},
            },
        },
    ),
    Example(
        "the same event id from two actors is two events",
        [
            click("ann", "milk", at=NOON, event_id="same"),
            click("bob", "milk", at=NOON, event_id="same"),
        ],
        {("item", "milk", "h", NOON): {"clicks": 2, "engagement": 4}},
    ),
    Example(
        "order does not matter",
        [
            cart("ann", "milk", at=NOON + 3 * MINUTE, arrives=NOON + 10 * MINUTE),
            view("ann", "milk", at=NOON, arrives=NOON + 11 * MINUTE),
        ],
        {
            ("user", "ann", "h", NOON): {"carts": 1, "views": 1},
            ("user", "ann", "m", NOON): {"views": 1, "engagement": 1},
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
            ("user", "bob", "d", MIDNIGHT): {"views": 1, "engagement": 1},
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
            ("user", "bob", "m", NOON + 5 * MINUTE): {"views": 1, "engagement": 1},
        },
    ),
    Example(
        "a clock that jumps is believed unless it is far ahead, and stops nobody when it is back",
        [
            view("ann", "milk", at=NOON),
            view("ann", "milk", at=NOON - HOUR, arrives=NOON + MINUTE),
            view("ann", "milk", at=NOON + 6 * MINUTE, arrives=NOON + 2 * MINUTE),
            view("ann", "milk", at=NOON + HOUR, arrives=NOON + 3 * MINUTE),
            view("ann", "milk", at=NOON + 4 * MINUTE),
        ],
        {
            ("user", "ann", "m", NOON): {"views": 1, "engagement": 1},
            ("user", "ann", "m", NOON - HOUR): {"views": 1, "engagement": 1},
            ("user", "ann", "m", NOON + 6 * MINUTE): {"views": 1, "engagement": 1},
            ("user", "ann", "m", NOON + 4 * MINUTE): {"views": 1, "engagement": 1},
            ("user", "ann", "h", NOON - HOUR): {"views": 1},
            ("user", "ann", "h", NOON): {"views": 3},
            ("user", "ann", "h", NOON + HOUR): None,
            ("item", "milk", "d", MIDNIGHT): {"views": 4, "engagement": 4, "actors": {"ann"}},
        },
    ),
    Example(
        "a search belongs to a user and to no item",
        [search("ann", at=NOON, query="oat milk"), view("ann", "milk", at=NOON)],
        {
            ("user", "ann", "m", NOON): {"searches": 1, "views": 1, "engagement": 1},
            ("user", "ann", "h", NOON): {"views": 1},
            ("item", "", "m", NOON): None,
        },
        applied={("user", "ann", "h", NOON): 2},
    ),
    Example(
        "what is liked, disliked and taken out again is counted apart",
        [
            like("ann", "milk", at=NOON),
            dislike("ann", "tea", at=NOON),
            remove("ann", "milk", at=NOON),
        ],
        {
            ("user", "ann", "d", MIDNIGHT): {
                "likes": 1,
                "dislikes": 1,
                "removes": 1,
                "engagement": -3,
            },
            ("item", "milk", "d", MIDNIGHT): {
                "likes": 1,
                "removes": 1,
                "engagement": 2,
                "actors": {"ann"},
            },
        },
    ),
    Example(
        "dislikes take engagement away, and a sum of zero is not spelled",
        [
            cart("ann", "milk", at=NOON),
            dislike("bob", "milk", at=NOON + 1),
        ],
        {("item", "milk", "h", NOON): {"carts": 1}},
        applied={("item", "milk", "h", NOON): 2},
    ),
    Example(
        "an actor is one of the actors of an item, however often and with whatever",
        [
            view("ann", "milk", at=NOON),
            click("ann", "milk", at=NOON + 1),
            view("bob", "milk", at=NOON + HOUR),
            view(None, "milk", at=NOON + 2 * HOUR, session_id="s1"),
        ],
        {
            ("item", "milk", "d", MIDNIGHT): {
                "views": 3,
                "clicks": 1,
                "engagement": 5,
                "actors": {"ann", "bob", "anon:s1"},
            },
        },
    ),
    Example(
        "of many actors a tile keeps the smallest hashes",
        [view(f"user {n}", "milk", at=NOON + n) for n in range(100)],
        {
            ("item", "milk", "d", MIDNIGHT): {
                "views": 100,
                "engagement": 100,
                "actors": {f"user {n}" for n in range(100)},
            },
        },
    ),
    Example(
        "messages that break the contract change nothing",
        [
            Sent(b"\xff{", NOON),
            Sent(b'{"schema_version":2}', NOON),
            Sent({"event_id": "e", "user_id": "ann", "type": "view", "event_time": NOON}, NOON),
            view("ann", "milk", at=NOON),
        ],
        {("user", "ann", "d", MIDNIGHT): {"views": 1, "engagement": 1}},
    ),
    Example(
        "an anonymous session is an actor of its own",
        [view(None, "milk", at=NOON, session_id="s1")],
        {("user", "anon:s1", "d", MIDNIGHT): {"views": 1, "engagement": 1}},
    ),
]
