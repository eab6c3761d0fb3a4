"""Words that belong to points of a panel: drawn nowhere, shown by a page under the mouse."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

ARM = "arm:"  # begins the group id of everything that is drawn of one arm


def owner(name: str) -> str:
    r"""Group id of what is drawn of an arm, whose name may hold what no XML can.

    >>> owner("clamp"), owner("a\0b")
    ('arm:clamp', 'arm:a�b')
    """
    plain = ("�" if unicodedata.category(letter)[0] == "C" else letter for letter in name)
    return ARM + "".join(plain)


class Spots(Artist):
    """Points in data coordinates, each with what it says; an artist that draws nothing.

    Attributes:
        xy: places, one row a point.
        texts: what each says.
    """

    def __init__(self, xy: np.ndarray, texts: Sequence[str]) -> None:
        super().__init__()
        self.xy, self.texts = xy, tuple(texts)
        self.set_in_layout(False)

    def draw(self, renderer: Any) -> None:
        """Nothing."""


def tell(ax: Axes, x: ArrayLike, y: ArrayLike, texts: Sequence[str]) -> None:
    """Say what points of a panel are; points without a finite place say nothing.

    Args:
        ax: the panel.
        x: places in data coordinates.
        y: likewise.
        texts: one a point.
    """
    xy = np.column_stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])
    there = np.isfinite(xy).all(1)
    ax.add_artist(Spots(xy[there], [text for text, here in zip(texts, there, strict=True) if here]))


def tell_cells(ax: Axes, texts: Sequence[Sequence[str]]) -> None:
    """Say what each cell of an image is, row by row; an empty text says nothing."""
    there = [(j, i, text) for i, row in enumerate(texts) for j, text in enumerate(row) if text]
    tell(ax, [x for x, _, _ in there], [y for _, y, _ in there], [text for _, _, text in there])


def spots_of(figure: Figure) -> Iterator[tuple[float, float, str]]:
    """Every point of a figure in points from its top left corner (1/72 inch), and what it says."""
    height = 72 * figure.get_figheight()
    for ax in figure.axes:
        for spots in (child for child in ax.get_children() if isinstance(child, Spots)):
            places = 72 / figure.dpi * ax.transData.transform(spots.xy) if len(spots.xy) else ()
            for (x, y), text in zip(places, spots.texts, strict=True):
                yield float(x), height - float(y), text


def within(value: str, low: str, high: str) -> str:
    """A value with its interval, where it has one.

    >>> within("3.1%", "2.9%", "3.3%"), within("3.1%", "–%", "–%"), within("1", "nan", "nan")
    ('3.1% [2.9%, 3.3%]', '3.1%', '1')
    """
    unknown = any(word in low + high for word in ("nan", "\N{EN DASH}"))
    return value if unknown else f"{value} [{low}, {high}]"
