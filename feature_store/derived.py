"""What is derived when it is read: facts are stored, conclusions are not.

Serving and training call these same functions, through `vectors.matrix`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from feature_store.declaration import Declaration, Entity
from feature_store.lookup import side_by_side
from feature_store.sessions import TELLING, Intent, intent, session, visits
from feature_store.stores.base import RECENTS_KEPT, Recent, UserState
from feature_store.tiles import DAY_MS, DAYS_28, Window

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Derived:
    """A column that is made when it is read: of what, and how.

    `reads` are columns of windows, or what a store keeps: recents, day tiles, descriptions.
    """

    name: str
    reads: tuple[str, ...]
    how: str

    @property
    def about(self) -> str:
        """`user`, `item`, or `pair` for a user with an item."""
        return self.name.partition("_")[0]


USER: Final = (
    Derived("user_days_since_last", ("recents",), "days since the newest interaction"),
    Derived("user_recents", ("recents",), f"interactions kept, at most {RECENTS_KEPT}"),
    Derived("user_active_days", ("day tiles",), "day tiles that the window of 28 days covers"),
    Derived(
        "user_days_between_visits",
        ("recents",),
        "mean days between the starts of visits, which a pause above 30 minutes parts",
    ),
    Derived("user_mean_price_minor", ("recents",), "mean price of what was bought, minor units"),
    Derived("user_max_price_minor", ("recents",), "highest price of what was bought, minor units"),
    Derived("user_session_events", ("recents",), "interactions of the session that goes on"),
    Derived(
        "user_session_intent",
        ("recents",),
        f"the most decided of the session's newest {TELLING} interactions: "
        + ", ".join(f"{one.value} {one.name.lower()}" for one in Intent),
    ),
)
USER_DERIVED: Final = tuple(one.name for one in USER)


def of_user(user: UserState, now: int) -> tuple[float, ...]:
    """The values of `USER_DERIVED`; NaN where there is nothing to tell from."""
    last, current = user.last_event, session(user.recents, now)
    paid = [r.price_minor for r in user.recents if r.type == "purchase" and r.price_minor]
    return (
        (now - last.event_time) / DAY_MS if last else np.nan,
        len(user.recents),
        sum(1 for _ in user.tiles.covered(DAYS_28, now)),
        days_between_visits(user.recents),
        sum(paid) / len(paid) if paid else np.nan,
        max(paid, default=np.nan),
        len(current),
        intent(current),
    )


def days_between_visits(recents: Sequence[Recent]) -> float:
    """The mean pause between the starts of a person's visits; NaN before the second one."""
    numbers = visits(recents)
    if not numbers or not numbers[-1]:
        return np.nan
    first_of_newest = max(p for p, number in enumerate(numbers) if number == 0)
    span = recents[first_of_newest].event_time - recents[-1].event_time
    return span / DAY_MS / numbers[-1]


@dataclass(frozen=True, slots=True)
class Rate:
    """How much of one thing became another: (became + strength x prior) / (of + strength).

    `prior` is what an item is believed to do before anybody saw it, and counts like `strength`
    events. Above 1 where things are bought that were never seen.
    """

    name: str
    of: str
    became: str
    prior: float
    strength: float = 20.0
    window: Window = DAYS_28

    def parts(self, declaration: Declaration) -> tuple[str, str] | None:
        """The columns of both things, if the declaration has them in this window."""
        of, became = (declaration.find(Entity.ITEM, name) for name in (self.of, self.became))
        if of and became and self.window in of.windows and self.window in became.windows:
            return of.column(self.window), became.column(self.window)
        return None

    def derived(self, parts: tuple[str, str]) -> Derived:
        """The rate as a column, from the columns of both things."""
        of, became = parts
        strength, prior = f"{self.strength:g}", f"{self.prior:g}"
        return Derived(self.name, parts, f"({became} + {strength} x {prior}) / ({of} + {strength})")

    def values(self, of: Floats, became: Floats) -> Floats:
        """The rate of each item."""
        return (became + self.strength * self.prior) / (of + self.strength)


#: One in twenty views puts an item into a cart, one in a hundred buys it: what shops see.
RATES: Final = (
    Rate("item_view_to_cart", of="views", became="carts", prior=0.05),
    Rate("item_view_to_purchase", of="views", became="purchases", prior=0.01),
)


def rates(declaration: Declaration) -> tuple[Derived, ...]:
    """The columns that are derived from the items' windows."""
    return tuple(rate.derived(parts) for rate, parts in _rates(declaration))


def item_derived(declaration: Declaration) -> tuple[str, ...]:
    """The names of `rates`: every request asks."""
    return tuple(rate.name for rate, _ in _rates(declaration))


def of_items(declaration: Declaration, windows: Floats, names: Sequence[str]) -> Floats:
    """The values of `item_derived`, (items, columns), from windows whose columns are `names`."""
    found = [
        rate.values(windows[:, names.index(of)], windows[:, names.index(became)])
        for rate, (of, became) in _rates(declaration)
    ]
    return side_by_side(found, len(windows))


def _rates(declaration: Declaration) -> Iterator[tuple[Rate, tuple[str, str]]]:
    for rate in RATES:
        if parts := rate.parts(declaration):
            yield rate, parts
