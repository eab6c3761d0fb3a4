"""Small words of the report's sentences: lists, names, signed points, plurals."""

from __future__ import annotations

from collections.abc import Sequence

from mechsteer.display import number


def joined(parts: Sequence[str]) -> str:
    """Parts of a list in words.

    >>> joined(["one"]), joined(["one", "two", "three"])
    ('one', 'one, two and three')
    """
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def isolated(name: str) -> str:
    """A name that keeps its direction of writing to itself (Unicode isolates)."""
    return f"\u2068{name}\u2069"


def signed(share: float) -> str:
    """A difference of shares in percentage points.

    >>> signed(-0.0123), signed(0.2), signed(-0.0001)
    ('−1.2', '+20.0', '0.0')
    """
    return number(100 * share, "+.1f").replace("-", "\N{MINUS SIGN}")


def plural(count: int, noun: str) -> str:
    """A number of things.

    >>> plural(1, "seed"), plural(2, "seed")
    ('1 seed', '2 seeds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
