"""A LightGBM model of plain regression trees, evaluated by a kernel of our own.

`Booster.predict` takes a branch per node and row; the kernel takes none (`forest.c`). Scores are
the same sums in the same order. Trees with more than 64 leaves, categorical splits, linear leaves
or a transformed output are left to LightGBM.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_store.kernels import address, kernel
from models.interactions import Floats, Ints

Doubles = npt.NDArray[np.float64]

KERNEL: Final = Path(__file__).with_suffix(".c")

#: Leaves are the bits of one word, a shorter one where they fit; the kernel turns so many rows.
MOST_LEAVES: Final = 64
FEW_LEAVES: Final = 32
ROWS: Final = 64
#: Objectives whose prediction is the plain sum of the trees.
PLAIN: Final = ("lambdarank", "rank_xendcg", "regression", "regression_l1", "huber")
#: In LightGBM's `decision_type`: bits that say categorical, default left, and how NaN is taken.
CATEGORICAL, DEFAULT_LEFT, MISSING_SHIFT, MISSING_NONE, MISSING_NAN = 1, 2, 2, 0, 2


#: LightGBM reads as zero what is no further from it than this.
ZERO: Final = np.float32(1e-35)


class NotPlain(ValueError):
    """A model that is more than sums of plain trees; LightGBM must evaluate it."""


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees one after the other, and leaf values from left to right.

    Tree t has the nodes `first[t]` to `first[t + 1]` and the leaves from `first_leaf[t]` on. A row
    goes right where its `column` is above `threshold`, and then loses the leaves whose bits are not
    in `if_right`; NaN goes left where `nan_goes_left`.
    """

    columns: int
    first: Ints
    first_leaf: Ints
    column: Ints
    threshold: Floats
    nan_goes_left: npt.NDArray[np.uint8]
    if_right: npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
    leaf: Doubles

    @classmethod
    def parse(cls, text: str) -> Forest:
        """From LightGBM's text; raises `NotPlain` with what stands against it."""
        head, *blocks = text.split("\nTree=")
        columns = _check(_entries(head), head)
        trees = [_Tree.parse(_entries(block)) for block in blocks]
        nodes = [node for tree in trees for node in tree.nodes()]
        if any(not 0 <= node[0] < columns for node in nodes):
            raise ValueError("a tree splits on a column that the model does not name")
        few = max((len(tree.leaf) for tree in trees), default=0) <= FEW_LEAVES
        masks = np.asarray([node[3] for node in nodes], np.uint64)
        return cls(
            columns=columns,
            first=_starts([len(tree.column) for tree in trees]),
            first_leaf=_starts([len(tree.leaf) for tree in trees]),
            column=np.asarray([node[0] for node in nodes], np.int32),
            threshold=np.asarray([node[1] for node in nodes], np.float32),
            nan_goes_left=np.asarray([node[2] for node in nodes], np.uint8),
            if_right=masks.astype(np.uint32) if few else masks,
            leaf=np.asarray([value for tree in trees for value in tree.in_order()], np.float64),
        )

    @property
    def digest(self) -> str:
        """A hash of all that the kernel is given."""
        found = hashlib.sha256()
        for array in self.arrays:
            found.update(array.tobytes())
        return found.hexdigest()

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """What the kernel is given, in its order."""
        return (
            self.first, self.first_leaf, self.column, self.threshold, self.nan_goes_left,
            self.if_right, self.leaf,
        )  # fmt: skip

    def predictor(self) -> Predictor | None:
        """The forest, ready to run; None where kernels cannot be compiled."""
        library = kernel(KERNEL)
        return None if library is None else Predictor(self, library)


class Predictor:
    """A forest bound to its kernel."""

    def __init__(self, forest: Forest, library: ctypes.CDLL) -> None:
        self._forest = forest
        self._function = getattr(library, f"forest{8 * forest.if_right.itemsize}")
        self._function.restype = None
        self._trees = ctypes.c_ssize_t(len(forest.first) - 1)
        self._arrays = tuple(address(array, array.dtype.type) for array in forest.arrays)

    def predict(self, matrix: Floats) -> Doubles:
        """One score a row; `matrix` is (rows, columns) float32. Safe from several threads."""
        matrix = np.ascontiguousarray(matrix, np.float32)
        rows, columns = matrix.shape
        if columns != self._forest.columns:
            raise ValueError(f"{columns} columns; the trees know {self._forest.columns}")
        turned = np.empty(columns * ROWS, np.float32)
        scores = np.empty(rows, np.float64)
        shape = ctypes.c_ssize_t(rows), ctypes.c_ssize_t(columns)
        self._function(
            address(matrix, np.float32),
            *shape,
            self._trees,
            *self._arrays,
            address(turned, np.float32),
            address(scores, np.float64),
        )
        return scores


@dataclass(frozen=True)
class _Tree:
    """One tree as the text spells it: node 0 is the root, a child below zero is the leaf ~child."""

    leaf: Sequence[float]
    column: Sequence[int]
    threshold: Sequence[float]
    decision: Sequence[int]
    left: Sequence[int]
    right: Sequence[int]

    @classmethod
    def parse(cls, said: dict[str, str]) -> _Tree:
        if int(said["num_leaves"]) > MOST_LEAVES:
            raise NotPlain(f"a tree has {said['num_leaves']} leaves, at most {MOST_LEAVES} fit")
        if said.get("is_linear", "0") != "0" or said.get("num_cat", "0") != "0":
            raise NotPlain("linear leaves or categorical splits")
        return cls(
            [float(value) for value in said["leaf_value"].split()],
            _integers(said, "split_feature"),
            [float(value) for value in said.get("threshold", "").split()],
            _integers(said, "decision_type"),
            _integers(said, "left_child"),
            _integers(said, "right_child"),
        )

    @property
    def root(self) -> int:
        """Node 0, or the one leaf of a tree that never splits."""
        return 0 if self.column else ~0

    def in_order(self) -> Iterator[float]:
        """The leaf values from left to right."""
        return (self.leaf[~child] for child in self._leaves(self.root))

    def nodes(self) -> Iterator[tuple[int, np.float32, bool, int]]:
        """(column, threshold, whether NaN goes left, the leaves kept by a row that goes right)."""
        place = {leaf: position for position, leaf in enumerate(self._leaves(self.root))}
        for node, column in enumerate(self.column):
            lost = sum(1 << place[leaf] for leaf in self._leaves(self.left[node]))
            limit = self.threshold[node]
            kept = (1 << MOST_LEAVES) - 1 - lost
            yield column, _floor(limit), self._nan_goes_left(node, limit), kept

    def _leaves(self, child: int) -> list[int]:
        if child < 0:
            return [child]
        return self._leaves(self.left[child]) + self._leaves(self.right[child])

    def _nan_goes_left(self, node: int, limit: float) -> bool:
        decision = self.decision[node]
        missing = decision >> MISSING_SHIFT
        if decision & CATEGORICAL or missing not in (MISSING_NONE, MISSING_NAN):
            raise NotPlain("a split is categorical, or takes zero for missing")
        # Where training saw no NaN, LightGBM reads one as zero.
        return bool(decision & DEFAULT_LEFT) if missing == MISSING_NAN else limit >= 0.0


def _check(said: dict[str, str], head: str) -> int:
    """The number of columns, if the model is a plain sum."""
    objective = said.get("objective", "").split()
    if not objective or objective[0] not in PLAIN or "sqrt" in objective:
        raise NotPlain(f"objective {' '.join(objective)!r}")
    if "average_output" in head.splitlines() or said.get("num_tree_per_iteration") != "1":
        raise NotPlain("averaged trees or several classes")
    return int(said["max_feature_idx"]) + 1


def _entries(block: str) -> dict[str, str]:
    """The `key=value` lines of a block; the last tree's ends at an empty line."""
    lines = (line.partition("=") for line in block.split("\n\n\n", maxsplit=1)[0].splitlines())
    return {key: value for key, equals, value in lines if equals}


def _integers(said: dict[str, str], key: str) -> list[int]:
    return [int(value) for value in said.get(key, "").split()]


def _starts(lengths: Sequence[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _floor(limit: float) -> np.float32:
    """The largest float32 that goes left where LightGBM's `limit` is, which is a float64."""
    if abs(limit) <= ZERO:
        return np.nextafter(-ZERO, np.float32(-np.inf)) if limit < 0 else ZERO
    with np.errstate(over="ignore"):
        near = np.float32(limit)
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > limit else near
