"""Grids of doses that grow until the best dose stands inside: a best at an edge is no optimum."""

from __future__ import annotations

from collections.abc import Sequence

GROWTHS = 4
"""Values a grid may gain: a curve that still rises after that has no peak worth the time."""


def grown(
    grid: Sequence[int | float],
    best: int | float,
    *,
    least: float = 0.0,
    most: float = float("inf"),
) -> list[int | float]:
    """The sorted grid with one value more beyond the edge that ``best`` stands at.

    The new value continues the ratio of the two outermost; whole numbers stay whole and move by
    one at least. Unchanged where best stands inside, where the grid has one value or an edge that
    is not positive, and where the next value would leave ``[least, most]`` (it is cut to the end
    of that range first).

    >>> grown([1, 4, 16], 16), grown([1, 4, 16], 4), grown([0.5, 1.0], 0.5)
    ([1, 4, 16, 64], [1, 4, 16], [0.25, 0.5, 1.0])
    """
    values = sorted(set(grid))
    if len(values) < 2 or best not in (values[0], values[-1]) or values[0] <= 0:
        return values
    up = best == values[-1]
    edge, inner = (values[-1], values[-2]) if up else (values[0], values[1])
    beyond = min(max(edge * edge / inner, least), most)
    if isinstance(edge, int):
        beyond = round(beyond)
        beyond = beyond + (1 if up else -1) if beyond == edge and least < edge < most else beyond
    return sorted({*values, beyond})
