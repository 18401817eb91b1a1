"""The pictures of a night, for the run in MLflow and for the notebooks: one function each.

Every function draws on the axes it is given and returns them, so a notebook can go on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from batch.outcomes import SERVED, SLICES
from models.interactions import Floats

INK, OURS, THEIRS, QUIET, BAD = "#22303c", "#0f6e84", "#c98a2b", "#b8c4cc", "#b23a48"
SERIES: Final = (OURS, THEIRS, "#6a8d73", "#8d6a9f", BAD, "#5b7db1", QUIET)
STYLE: Final[Any] = {
    "figure.dpi": 110, "savefig.dpi": 140, "figure.figsize": (8.0, 4.5),
    "figure.constrained_layout.use": True, "font.size": 10, "axes.titlesize": 13,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": "#e6ebee",
    "axes.axisbelow": True, "legend.frameon": False, "axes.prop_cycle": cycler(color=SERIES),
}  # fmt: skip


def save(path: Path, draw: Callable[[Axes], Axes]) -> None:
    """Draws one picture into a PNG file."""
    with mpl.rc_context(STYLE):
        figure = Figure()
        draw(figure.add_subplot())
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def against(axes: Axes, differences: Mapping[str, Mapping[str, float]], rival: str) -> Axes:
    """Paired differences of NDCG to a rival with their intervals, slice by slice."""
    names = [name for name in SLICES if name in differences][::-1]
    for row, name in enumerate(names):
        gap = differences[name]
        colour = BAD if gap["high"] < 0 else OURS if gap["low"] > 0 else INK
        axes.plot([gap["low"], gap["high"]], [row, row], color=colour, linewidth=3, alpha=0.45)
        axes.plot(gap["mean"], row, "o", color=colour, markersize=8)
        axes.annotate(f"{gap['mean']:+.4f}", (gap["mean"], row), (0, 9), ha="center",
                      textcoords="offset points", fontsize=9)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(names)), [SLICES[name] for name in names])
    axes.set_ylim(-0.6, len(names) - 0.3)
    axes.set_title(f"Tonight against {rival}, on the same baskets")
    axes.set_xlabel("difference of NDCG@10, and its 95 % interval over people")
    return axes


def lists(axes: Axes, ndcg: Mapping[str, float]) -> Axes:
    """NDCG of the served list beside every source alone."""
    ordered = sorted(ndcg.items(), key=lambda pair: pair[1])
    names, values = [name for name, _ in ordered], [value for _, value in ordered]
    colours = [OURS if name == SERVED else QUIET for name in names]
    bars = axes.barh(names, values, color=colours)
    axes.bar_label(bars, fmt="%.4f", padding=4)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    axes.set_title("What people took next: the served list, and each source alone")
    axes.set_xlabel("NDCG@10 of the next basket, full catalogue, mean over people")
    return axes


def ablation(axes: Axes, served: float, without: Mapping[str, float]) -> Axes:
    """What each source is for: NDCG lost when it is silent, by the same ranker."""
    lost = sorted(((served - ndcg, name) for name, ndcg in without.items()))
    colours = [OURS if value > 0 else QUIET for value, _ in lost]
    bars = axes.barh([name for _, name in lost], [value for value, _ in lost], color=colours)
    axes.bar_label(bars, fmt="%+.4f", padding=4)
    axes.axvline(0, color=INK, linewidth=1)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.18)
    axes.set_title(f"What each source is for: of NDCG {served:.4f}, lost without it")
    axes.set_xlabel("NDCG@10 lost when the source is silent")
    return axes


def diversity(axes: Axes, by_weight: Mapping[float, tuple[float, float]]) -> Axes:
    """What variety costs: (diversity, NDCG) of the lists by the weight of MMR."""
    points = list(by_weight.values())
    axes.plot([kinds for kinds, _ in points], [ndcg for _, ndcg in points], "-o", color=OURS)
    for weight, point in by_weight.items():
        axes.annotate(f"{weight:g}", point, (6, 6), textcoords="offset points", fontsize=9)
    axes.margins(0.12)
    axes.set_title("What variety costs, by the weight of MMR")
    axes.set_xlabel("share of pairs in a list that are of different kinds")
    axes.set_ylabel("NDCG@10")
    return axes


def stream(axes: Axes, tiles: Mapping[str, Mapping[str, int]], most: int = 18) -> Axes:
    """Where the speed layer drifted: tiles put right by store and feature."""
    total = {f"{store} {name}": n for store, drift in tiles.items() for name, n in drift.items()}
    top = sorted(total.items(), key=lambda pair: pair[1])[-most:]
    bars = axes.barh([name for name, _ in top], [count for _, count in top], color=THEIRS)
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelsize=8)
    axes.margins(x=0.15)
    axes.set_title("Where the stream drifted from the recount")
    axes.set_xlabel("tiles put right tonight")
    return axes


def learning_curve(axes: Axes, trees: Sequence[float], ndcg: Sequence[float]) -> Axes:
    """NDCG of unseen baskets as trees are added."""
    axes.plot(trees, ndcg, "-o", color=OURS, markersize=4)
    axes.set_title("The ranker, tree by tree, on baskets it has not seen")
    axes.set_xlabel("trees")
    axes.set_ylabel("NDCG@10")
    return axes


def factor_norms(axes: Axes, factors: Floats, popularity: Floats) -> Axes:
    """Length of each item's ALS vector by how much it sells: a cloud without a slope is noise."""
    norms = np.linalg.norm(np.asarray(factors, np.float64), axis=1)
    sold = (norms > 0) & (np.asarray(popularity) > 0)
    shown = np.flatnonzero(sold)[:: max(1, int(sold.sum()) // 8_000)]
    axes.scatter(popularity[shown], norms[shown], s=5, alpha=0.35, color=OURS, linewidths=0)
    if len(shown):
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_title(f"ALS factors: {int(sold.sum()):,} items trained")
    axes.set_xlabel("popularity (decayed visits)")
    axes.set_ylabel("norm of the item's factors")
    return axes


def importance(axes: Axes, gains: Mapping[str, float], most: int = 18) -> Axes:
    """What the ranker leans on: the share of gain by column."""
    total = sum(gains.values()) or 1.0
    top = sorted(gains.items(), key=lambda pair: pair[1])[-most:]
    axes.barh([name for name, _ in top], [100 * gain / total for _, gain in top], color=OURS)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_title("What the ranker leans on")
    axes.set_xlabel("share of gain, %")
    return axes


def contributions(
    axes: Axes, columns: Sequence[str], rows: Floats, added: Floats, most: int = 14
) -> Axes:
    """SHAP: what each column added to the score of test candidates, by its value."""
    order = np.argsort(np.abs(added).mean(axis=0))[-most:]
    jitter = np.random.default_rng(0).uniform(-0.32, 0.32, len(rows))
    for place, column in enumerate(order):
        value = pd.Series(rows[:, column]).rank(pct=True).to_numpy()
        shown = axes.scatter(added[:, column], place + jitter, c=np.nan_to_num(value, nan=0.5),
                             cmap="viridis", s=4, alpha=0.6, linewidths=0)  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(order)), [columns[column] for column in order], fontsize=8)
    axes.set_title("Why candidates rise and fall")
    axes.set_xlabel("added to the ranker's score (SHAP)")
    if axes.figure and len(order):
        bar = axes.figure.colorbar(shown, ax=axes, ticks=[0, 1])
        bar.ax.set_yticklabels(["low", "high"])
        bar.set_label("value of the column")
    return axes


def shares(axes: Axes, days: pd.DataFrame, what: str, most: int = 6) -> Axes:
    """The mix of events by day: drift is where bands change their width."""
    mine = days[days["what"] == what]
    top = mine.groupby("name")["events"].sum().nlargest(most).index
    named = mine["name"].where(mine["name"].isin(top), "other")
    table = mine.assign(name=named).pivot_table(
        index="day", columns="name", values="events", aggfunc="sum", fill_value=0
    )
    smooth = table.div(table.sum(axis=1), axis=0).rolling(7, min_periods=1).mean()
    axes.stackplot(smooth.index, *(smooth[name] for name in smooth), labels=list(smooth.columns),
                   alpha=0.85)  # fmt: skip
    axes.set_ylim(0, 1)
    axes.margins(x=0)
    axes.tick_params(axis="x", rotation=30)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    axes.set_title(f"What people do, by {what}")
    axes.set_ylabel("share of events, 7 days")
    return axes
