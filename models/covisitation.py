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
#: Items whose pairs are held at once: all pairs of a large shop are gigabytes.
BLOCK = 1_000


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
    count = np.zeros(items, np.float32)
    np.add.at(count, matrix.indices, matrix.data * matrix.data)
    near = np.full((items, k), -1, np.int32)
    weights = np.zeros((items, k), np.float32)
    by_item = matrix.T.tocsr()
    for first in range(0, items, BLOCK):
        together = (by_item[first : first + BLOCK] @ matrix).tocsr()
        row = first + np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        together.data /= np.sqrt(count[row] * count[together.indices]) + SHRINK
        together.data[row == together.indices] = 0
        part = slice(first, first + BLOCK)
        near[part], weights[part] = keep_best(together, k)
    return Neighbours(near, weights)
