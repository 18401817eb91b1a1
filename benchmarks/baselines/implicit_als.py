"""ALS of the `implicit` package: Cython over all cores, conjugate gradients, plain ridge."""

from __future__ import annotations

from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from models.als import Rule
from models.interactions import Floats

SEED = 7


def train(known: sparse.csr_matrix, rule: Rule, cores: int) -> tuple[Floats, Floats]:
    """Factors of people and of items.

    A stored value is the whole confidence there, so 1 + alpha * r is written out. BLAS has one
    thread, as the package asks.
    """
    confidence = known.copy()
    confidence.data = 1 + rule.alpha * known.data
    model = AlternatingLeastSquares(
        factors=rule.rank, regularization=rule.regularisation, alpha=1.0,
        iterations=rule.iterations, num_threads=cores, random_state=SEED,
    )  # fmt: skip
    with threadpool_limits(1, "blas"):
        model.fit(confidence, show_progress=False)
    return model.user_factors, model.item_factors
