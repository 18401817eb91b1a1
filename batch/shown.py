"""Lists that were shown, as questions to learn from: what did people take of what they saw?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import orjson

from batch.history import History
from batch.training_set import Basket, in_order
from feature_store.sessions import SESSION_GAP_MS
from models.interactions import Interactions

#: What is taken so soon after a list was shown is taken from it, if it is on it.
SOON_MS: Final = SESSION_GAP_MS


def shown(messages: Iterable[bytes | str], history: History, until: int) -> list[Basket]:
    """Each list of which something was taken before `until` (ms), in order of time.

    What people looked at ends one place behind the last item they took: nobody knows whether they
    saw the rest, or whether who took nothing looked at all.
    """
    found = []
    liked = history.log.where(history.log.weight > 0)
    code_of = {actor: code for code, actor in enumerate(liked.actor_ids)}
    for message in messages:
        said = orjson.loads(message)
        actor, moment = said["actor"], said["shown_at"]
        taken = _taken(liked, code_of.get(actor, -1), moment, min(moment + SOON_MS, until))
        items = [history.items.index_of.get(one["item_id"], -1) for one in said["items"]]
        places = [place for place, item in enumerate(items) if item in taken]
        if places:
            looked = frozenset(items[: places[-1] + 2]) - {-1}
            found.append(Basket(actor, moment, looked & taken, looked))
    return in_order(found)


def _taken(liked: Interactions, actor: int, since: int, until: int) -> frozenset[int]:
    """The items of one actor's rows in [since, until)."""
    first, last = np.searchsorted(liked.actor, [actor, actor + 1])
    begin, end = first + np.searchsorted(liked.time[first:last], [since, until])
    return frozenset(liked.item[begin:end].tolist())
