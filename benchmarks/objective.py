"""The loss of implicit ALS, computed outside whatever trained the factors."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.als import Rule
from models.interactions import Floats


def loss(known: sparse.csr_matrix, people: Floats, items: Floats, rule: Rule) -> float:
    """Hu, Koren, Volinsky (2008), equation 3, in float64.

    `known` (people, items) are positive ratings r with confidence 1 + alpha * r; everything else
    is a 0 of confidence 1, summed by way of the factors' Gram matrices. The ridge is the rule's.
    """
    mine, theirs = people.astype(np.float64), items.astype(np.float64)
    pairs = known.tocoo()
    said = np.einsum("ij,ij->i", mine[pairs.row], theirs[pairs.col])
    observed = ((1 + rule.alpha * pairs.data) * (1 - said) ** 2 - said**2).sum()
    everything = np.sum((mine.T @ mine) * (theirs.T @ theirs))
    ridges = (
        np.sum(rule.ridge(np.asarray(known.getnnz(axis=axis)))[:, None] * factors**2)
        for axis, factors in ((1, mine), (0, theirs))
    )
    return float(observed + everything + sum(ridges))
