"""How objects show themselves: in one line, and in a notebook as that line above a short table."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, SupportsFloat

if TYPE_CHECKING:
    import pandas as pd

ROWS = 10  # of a table in a notebook


class Displayed:
    """Gives a record its one line and its table; a record says what stands in them."""

    def _line(self) -> str:
        """What it is about, in a few words."""
        raise NotImplementedError

    def _shown(self) -> pd.DataFrame | None:
        """What a notebook shows of it; None for the line alone."""
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._line()})"

    def _repr_html_(self) -> str:
        line, table = f"<p>{escape(repr(self))}</p>", self._shown()
        if table is None:
            return line
        left = len(table) - ROWS
        more = f"<p>… and {left:,} more rows</p>" if left > 0 else ""
        rows = table.head(ROWS).to_html(
            index=False, float_format=_short, na_rep="\N{EN DASH}", border=0
        )
        return f"{line}{rows}{more}"


def _short(x: SupportsFloat) -> str:
    return number(float(x), ".4g")


def number(x: float | None, form: str = ".3f") -> str:
    """A number as a person reads it: a dash for what is not known, no sign on a zero.

    Args:
        x: NaN and None are not known.
        form: as of Python's ``format``.

    >>> number(0.12345), number(-0.0001), number(float("nan")), number(-0.00004, "+.1%")
    ('0.123', '0.000', '–', '0.0%')
    """
    if x is None or math.isnan(x):
        return "\N{EN DASH}"
    text = format(x, form)
    return text if any(digit in text for digit in "123456789f") else text.lstrip("+-")


def count(n: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "language"), count(36864, "neuron")
    ('1 language', '36,864 neurons')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def listed(names: tuple[str, ...], most: int = 4) -> str:
    """A few names, and how many more.

    >>> listed(("a", "b")), listed(("a", "b", "c", "d", "e", "f"))
    ('a, b', 'a, b, c, d and 2 more')
    """
    left = len(names) - most
    return ", ".join(names) if left <= 0 else f"{', '.join(names[:most])} and {left} more"
