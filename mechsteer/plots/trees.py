"""Languages as the model groups them beside Glottolog's tree: do clusters follow families?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.collections import LineCollection
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from mechsteer.crosslingual import Similarity
from mechsteer.plots.given import named
from mechsteer.plots.heatmaps import colour_scale, tell_pairs
from mechsteer.plots.pairs import given, measured, response_of
from mechsteer.plots.panels import INK, VERMILLION, label, panel, percent, title
from mechsteer.plots.sentences import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Lineages = Mapping[str, tuple[str, ...]]


@dataclass
class Branch:
    """A node of the tree: a family or a branch where languages part, or a language.

    Attributes:
        name: Glottolog's, or the language's code.
        leaf: whether it is a language.
        parts: what is below.
    """

    name: str
    leaf: bool = False
    parts: list[Branch] = field(default_factory=list)

    def leaves(self) -> Iterator[str]:
        """Languages below, from top to bottom."""
        if self.leaf:
            yield self.name
        for part in self.parts:
            yield from part.leaves()

    @property
    def depth(self) -> int:
        """Branchings on the longest way down."""
        return 1 + max(part.depth for part in self.parts) if self.parts else 0


def families(lineages: Lineages, place: Mapping[str, float]) -> list[Branch]:
    """Families with their branches; steps of one part only are left out.

    Parts stand in the order of the mean place of their languages.

    Args:
        lineages: ancestors of each language, the family first; without any it stands alone.
        place: where each language would stand.
    """
    roots: dict[str, list[str]] = {}
    for code, above in lineages.items():
        roots.setdefault(above[0] if above else code, []).append(code)
    grown = [_grown(name, codes, lineages, 1, place) for name, codes in roots.items()]
    return sorted(grown, key=lambda branch: _mean(branch, place))


def _grown(
    name: str, codes: Sequence[str], lineages: Lineages, level: int, place: Mapping[str, float]
) -> Branch:
    below: dict[tuple[bool, str], list[str]] = {}
    for code in codes:
        deeper = len(lineages[code]) > level
        below.setdefault((not deeper, lineages[code][level] if deeper else code), []).append(code)
    parts = [
        Branch(key, leaf=True) if leaf else _grown(key, own, lineages, level + 1, place)
        for (leaf, key), own in below.items()
    ]
    if len(parts) == 1 and level > 1:  # a step without a branching
        return parts[0]
    if len(parts) == 1 and not parts[0].leaf:
        return Branch(name, parts=parts[0].parts)
    return Branch(name, parts=sorted(parts, key=lambda part: _mean(part, place)))


def _mean(branch: Branch, place: Mapping[str, float]) -> float:
    return float(np.mean([place[code] for code in branch.leaves()]))


def similarity_of(
    found: Similarity, metric: str = "retrieval_top1", layer: int | None = None
) -> pd.DataFrame:
    """What was measured of each two languages, the mean of both directions; NaN on the diagonal.

    Raises:
        MechsteerError: no such response without an edit.
    """
    rows = response_of(given(found).pairs, "none", metric, layer)
    codes = list(found.languages["language"])
    cells = rows.set_index(["source", "target"])["value"].unstack().reindex(codes, columns=codes)
    both = np.stack([cells.to_numpy(dtype=float), cells.to_numpy(dtype=float).T])
    known = np.isfinite(both)
    total = np.where(known, both, 0.0).sum(0)
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(total / known.sum(0), index=codes, columns=codes)


def clustered(cells: pd.DataFrame) -> Float[np.ndarray, "merge 4"]:
    """Average linkage (UPGMA) of similarities, leaves in the order that puts like beside like.

    The distance of two languages is the largest similarity less theirs; unknown pairs count as the
    mean of those known.
    """
    values = cells.to_numpy(dtype=float)
    off = ~np.eye(len(values), dtype=bool)
    known = np.isfinite(values) & off
    filled = np.where(known, values, values[known].mean())
    apart = np.where(off, values[known].max() - filled, 0.0)
    merges: Float[np.ndarray, "merge 4"] = linkage(
        squareform(apart, checks=False), "average", optimal_ordering=True
    )
    return merges


def language_tree(
    found: Similarity,
    *,
    metric: str = "retrieval_top1",
    layer: int | None = None,
    languages: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Languages by languages without an edit: rows as in Glottolog's tree, columns as clustered.

    Left of the rows is the tree, above the columns the dendrogram of what was measured. The empty
    cells are languages with themselves: where the model's clusters follow the families they lie on
    the diagonal. Families share no root; a row of its own is a language without relatives here.

    Args:
        found: of ``ms.similarity``.
        metric: what was measured; both directions of a pair are averaged.
        layer: row of the residual stream; the best on dev by default.
        languages: named in colour, those steered to, say.
        ax: where to draw the cells; a new figure by default.

    Raises:
        MechsteerError: no such response.
    """
    cells = similarity_of(found, metric, layer)
    steered = {named(code, cells.index) for code in languages}
    merges = clustered(cells)
    drawn = dendrogram(merges, no_plot=True)
    columns = [cells.index[at] for at in drawn["leaves"]]
    place = {code: float(at) for at, code in enumerate(columns)}
    above = dict(zip(found.languages["language"], found.languages["lineage"], strict=True))
    roots = families({c: tuple(filter(None, t.split(" > "))) for c, t in above.items()}, place)
    rows = [code for root in roots for code in root.leaves()]
    n = len(rows)
    side = max(2.4, min(0.17 * n, 12))
    ax = panel(ax, size=(side + 3.95, side + 1.5), margins=(3.2, 0.62, 0.75, 0.88))
    values = np.ma.masked_invalid(cells.loc[rows, columns].to_numpy(dtype=float))
    image = ax.imshow(values, cmap="cividis", interpolation="none", aspect="auto")
    _names(ax, rows, columns, steered, size=min(8.0, 62 * side / n))
    tell_pairs(ax, rows, columns, values.filled(np.nan), percent, between=" and ")
    colour_scale(ax, image, percent)
    _clusters(ax, drawn, n)
    _families(ax, roots)
    where = response_of(found.pairs, "none", metric, layer).iloc[0]
    at = str(where["place"]).replace("_", " ") or f"layer {where['layer']}"
    title(ax, f"{measured(metric)}, {at}", pad=44)
    return ax


def _names(
    ax: Axes, rows: Sequence[str], columns: Sequence[str], steered: set[str], *, size: float
) -> None:
    short = dict(zip(rows, short_names(rows), strict=True))
    ax.set_xticks(range(len(columns)), [short[c] for c in columns], rotation=90)
    ax.set_yticks(range(len(rows)), [short[c] for c in rows])
    for texts, codes in ((ax.get_xticklabels(), columns), (ax.get_yticklabels(), rows)):
        for text, code in zip(texts, codes, strict=True):
            text.set(fontsize=size, color=VERMILLION if code in steered else INK)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _clusters(ax: Axes, drawn: Mapping[str, Any], n: int) -> None:
    """The dendrogram above the columns."""
    inset = _beside(ax, 0.0, 1.015, 1.0, 0.5 / (ax.bbox.height / ax.figure.dpi))
    x = (np.array(drawn["icoord"], dtype=float) - 5) / 10
    y = np.array(drawn["dcoord"], dtype=float)
    lines = [np.column_stack(pair) for pair in zip(x, y, strict=True)]
    inset.add_collection(LineCollection(lines, colors=INK, linewidths=0.8))
    inset.set(xlim=(-0.5, n - 0.5), ylim=(0, float(y.max()) * 1.02 or 1.0))


def _families(ax: Axes, roots: Sequence[Branch]) -> None:
    """The tree left of the rows, each family with its name."""
    inch = 1 / (ax.bbox.width / ax.figure.dpi)
    inset = _beside(ax, -2.05 * inch, 0.0, 1.4 * inch, 1.0)
    row = {code: at for at, code in enumerate(c for root in roots for c in root.leaves())}
    deepest = max(1, *(root.depth for root in roots))
    lines: list[list[tuple[float, float]]] = []
    for root in roots:
        y = _drawn(root, row, lines, deepest)
        lines.append([(-0.25, y), (_x(root, deepest), y)])
        name = "" if root.name in row else root.name
        inset.text(-0.4, y, label(name, width=22), fontsize=7.5, color=INK, ha="right", va="center")
    inset.add_collection(LineCollection(lines, colors=INK, linewidths=0.8))
    inset.set(xlim=(-0.3, deepest + 0.1), ylim=(len(row) - 0.5, -0.5))


def _drawn(
    branch: Branch, row: Mapping[str, int], lines: list[list[tuple[float, float]]], deepest: int
) -> float:
    """Lines of what is below a branch, and the height that it stands at."""
    if branch.leaf:
        return float(row[branch.name])
    x = _x(branch, deepest)
    heights = [_drawn(part, row, lines, deepest) for part in branch.parts]
    lines += [
        [(x, y), (_x(part, deepest), y)] for part, y in zip(branch.parts, heights, strict=True)
    ]
    lines.append([(x, min(heights)), (x, max(heights))])
    return (min(heights) + max(heights)) / 2


def _x(branch: Branch, deepest: int) -> float:
    """How far right a branch stands: languages in one column, what has more below further left."""
    return float(deepest - branch.depth)


def _beside(ax: Axes, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes without a frame at a place in units of ``ax``."""
    box = ax.get_position()
    inset = ax.figure.add_axes(
        (
            box.x0 + left * box.width,
            box.y0 + bottom * box.height,
            width * box.width,
            height * box.height,
        )
    )
    inset.set_axis_off()
    return inset
