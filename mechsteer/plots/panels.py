"""The canvas of every figure: how a panel, an edit, a layer axis and a label look.

Text and axes are one neutral grey that reads on white and on black; colours are Okabe and Ito's, so
that colour-blind readers can tell the edits apart.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from mechsteer.display import number
from mechsteer.plots.spots import owner
from mechsteer.studies.conditions import Arm, Kind, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

INK = "#767676"  # contrast 4.5:1 on white and 4.6:1 on black
PAPER = "#fefefe"  # behind names that stand on points; on a page, its own
BLUE, GREEN, VERMILLION = "#0072b2", "#009e73", "#d55e00"
PURPLE, ORANGE, SKY = "#cc79a7", "#e69f00", "#56b4e9"


class Stroke(NamedTuple):
    """How one edit is drawn: colour, dashes and marker each tell it apart alone."""

    colour: str
    dashes: Any
    marker: str


class Metric(NamedTuple):
    """What a metric of the results table is called on an axis."""

    title: str
    percent: bool


STROKES: dict[Kind, Stroke] = {  # of the base, the first edit, its control, and the baselines
    "base": Stroke(INK, "solid", "s"),
    "edit": Stroke(VERMILLION, "solid", "o"),
    "random": Stroke(BLUE, (0, (4, 1.5)), "|"),
    "centring": Stroke(GREEN, (0, (1, 1)), "D"),
    "dimensions": Stroke(SKY, (0, (3, 1, 1, 1)), "X"),
    "standardisation": Stroke(PURPLE, (0, (3, 1, 1, 1, 1, 1)), "*"),
}
SPARE = (Stroke(ORANGE, "solid", "v"), Stroke(PURPLE, "solid", "^"), Stroke(SKY, "solid", "P"))
METRICS = {
    "retrieval_top1": Metric("top-1 retrieval", True),
    "mexa": Metric("MEXA alignment", True),
    "bits_per_byte": Metric("bits per byte", False),
    "distance_pairs": Metric("pairs", False),
    "distance_medoid": Metric("to the medoid", False),
    "distance_target": Metric("to the target", False),
}
DISTANCES = ("distance_pairs", "distance_medoid", "distance_target")


def metric_of(name: str) -> Metric:
    """How a metric is called and read; the difference of one is called a change."""
    plain = name.removesuffix(".delta")
    known = METRICS.get(plain, Metric(label(plain), False))
    return known if plain == name else known._replace(title=f"change of {known.title}")


def strokes(arms: Iterable[Arm]) -> dict[Arm, Stroke]:
    """A stroke for each arm: the first of a kind has the kind's, others take the spare in turn."""
    found: dict[Arm, Stroke] = {}
    spare = cycle(SPARE)
    for arm in in_order(arms):
        first = arm.kind not in {known.kind for known in found}
        found[arm] = STROKES[arm.kind] if first else next(spare)
    return found


def label(text: object, *, width: int = 18) -> str:
    r"""Text as matplotlib may draw it: one short line, no control characters, no mathematics.

    >>> label("fra_Latn"), label("a$b"), label("x" * 40, width=9)
    ('fra_Latn', 'a\\$b', 'xxxxxx…xx')
    """
    plain = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in str(text))
    if len(plain) > width:
        tail = (width - 1) // 3
        plain = f"{plain[: width - 1 - tail]}…{plain[len(plain) - tail :]}"
    return plain.replace("$", r"\$")


def panel(ax: Axes | None, *, size: tuple[float, float], margins: Sequence[float]) -> Axes:
    """``ax``, or the axes of a new figure; margins (left, bottom, right, top) in inches."""
    if ax is None:
        width, height = size
        left, bottom, right, top = margins
        figure = Figure(figsize=size, facecolor="none")
        box = (left / width, bottom / height, (width - left - right) / width)
        ax = figure.add_axes((*box, (height - bottom - top) / height))
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[:].set(color=INK, linewidth=0.6)
    ax.tick_params(colors=INK, labelsize=8, width=0.6, length=2.5)
    ax.xaxis.label.set(color=INK, fontsize=8.5)
    ax.yaxis.label.set(color=INK, fontsize=8.5)
    return ax


def bars(ax: Axes, left: ArrayLike, height: ArrayLike, *, width: ArrayLike, **style: Any) -> None:
    """Bars from zero as one path, which keeps a vector file small.

    Args:
        ax: where to draw.
        left: left edge of each bar.
        height: of each bar.
        width: of all bars, or of each.
        style: of a matplotlib patch.
    """
    spans = np.broadcast_to(width, np.shape(left))
    left, height = np.asarray(left), np.asarray(height)
    rectangles = [
        Path([(x, 0), (x, y), (x + span, y), (x + span, 0), (x, 0)], closed=True)
        for x, y, span in zip(left, height, spans, strict=True)
    ]
    ax.add_patch(PathPatch(Path.make_compound_path(*rectangles), **{"linewidth": 0} | style))
    ax.autoscale_view()


def title(ax: Axes, text: str, *, pad: float = 6) -> None:
    """Name a panel at its top left, where reading starts; ``pad`` points above the axes."""
    # y says where: matplotlib would else measure all ticks to find a place above them
    ax.set_title(text, loc="left", y=1.0, fontsize=9.5, fontweight="bold", color=INK, pad=pad)


def minus(value: float, form: str) -> str:
    """A number with a real minus, and none on a zero.

    >>> minus(-0.01, ".1f"), minus(-0.25, ".2f")
    ('0.0', '−0.25')
    """
    return number(value, form).replace("-", "\N{MINUS SIGN}")


def percent(value: float, _position: object = None) -> str:
    """A share as an axis shows it: 0.125 is "12.5%"."""
    return f"{minus(100 * value, '.3g')}%"


def points(value: float, _position: object = None) -> str:
    """A difference of shares in signed percentage points, with a real minus; zero has no sign."""
    text = f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}").removesuffix(".0")
    return "0" if text[1:] == "0" else text


def row_name(row: int, n_layers: int) -> str:
    """A row of the residual stream: how many layers it has passed.

    >>> row_name(0, 6), row_name(1, 6), row_name(3, 6), row_name(7, 6)
    ('embedding', 'after 1 layer', 'after 3 layers', 'final norm')
    """
    named = {0: "embedding", n_layers + 1: "final norm"}
    return named.get(row, f"after {row} layer" + ("s" if row > 1 else ""))


def layer_axis(ax: Axes, n_layers: int) -> None:
    """Rows of the residual stream by the layers passed: 0 is the embedding, the last the norm."""
    step = math.ceil((n_layers + 1) / 9)
    ticks = [*range(0, n_layers + 1, step)]
    if n_layers + 1 - ticks[-1] < step:
        ticks.pop()
    names = ["emb." if tick == 0 else str(tick) for tick in ticks]
    ax.set_xticks([*ticks, n_layers + 1], [*names, "norm"])
    ax.set_xlim(-0.3, n_layers + 1.3)
    ax.set_xlabel("layers passed")


def end_labels(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Name each line at its right end (value, text, colour), moved apart where they would touch."""
    low, high = ax.get_ylim()
    gap = 11 / 72 * ax.figure.dpi / ax.bbox.height  # 11 points, as a share of the axes
    order = sorted(ends)
    at = [(value - low) / (high - low) for value, _, _ in order]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + gap)
    for i in reversed(range(len(at))):
        at[i] = min(at[i], 1 if i == len(at) - 1 else at[i + 1] - gap)
    for y, (_, text, colour) in zip(at, order, strict=True):
        ax.text(
            1.02, y, label(text), color=colour, fontsize=8.5, va="center",
            transform=ax.transAxes, gid=owner(text),
        )  # fmt: skip
