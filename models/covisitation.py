"""Co-visitation: items that appear in the same visits."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.interactions import Interactions, decay, visits
from models.neighbours import Neighbours, keep_best

#: A visit with more items than this says little about any pair of them.
WIDEST_VISIT = 100
#: Added to the denominator, so that two items seen together once are not the closest of all.
SHRINK = 3.0


def fit(
    log: Interactions, items: int, cut_ms: int, half_life_days: float, k: int = 30
) -> Neighbours:
    """Decayed cosine of the items' visits, shrunk for rare pairs; k neighbours an item."""
    seen = visits(log)
    liked = seen.strength > 0
    _, session = np.unique(seen.session[liked], return_inverse=True)
    item = seen.item[liked]
    width = np.bincount(session, minlength=1)[session] if len(session) else session
    kept = width <= WIDEST_VISIT
    age = (cut_ms - seen.start[liked][kept]).astype(np.float64)
    worth = np.sqrt(decay(age, half_life_days))
    shape = (int(session.max(initial=0)) + 1, items)
    matrix = sparse.csr_matrix((worth, (session[kept], item[kept])), shape=shape, dtype=np.float32)
    together = (matrix.T @ matrix).tocsr()
    count = together.diagonal()
    rows = np.repeat(np.arange(items), np.diff(together.indptr))
    together.data /= np.sqrt(count[rows] * count[together.indices]) + SHRINK
    together.data[rows == together.indices] = 0
    return Neighbours(*keep_best(together, k))
