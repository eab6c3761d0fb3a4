"""Two texts on a terminal: beside each other where there is room, else one under the other."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

WIDTH = 72
"""Columns that two texts need to stand beside each other."""

_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def side_by_side(rows: Sequence[tuple[str, str, str]], width: int) -> Any:
    """A ``rich`` renderable of rows of (title, before, after).

    Right-to-left text is never put beside another: a terminal orders a line as a whole, and would
    mix the two. What could steer the terminal itself is shown as ``·``.
    """
    from rich import box
    from rich.console import Group
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    shown = [tuple(map(visible, row)) for row in rows]
    if width < WIDTH or any(is_right_to_left(text) for row in shown for text in row):
        parts: list[Any] = []
        for title, before, after in shown:
            for name, text in (("before", before), ("after", after)):
                parts += [Rule(name, align="left", style="dim"), Text(title, "bold"), Text(text)]
        return Group(*parts)
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), expand=True)
    for name in ("before", "after"):
        table.add_column(name, ratio=1, overflow="fold")
    for title, *texts in shown:
        table.add_row(*(Text.assemble((title, "bold"), text) for text in texts))
    return table


def is_right_to_left(text: str) -> bool:
    """Whether a text has any letter that is written from right to left."""
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)


def visible(text: str) -> str:
    """The text with control characters and overrides of direction shown as ``·``."""
    return "".join(
        "·" if letter in _OVERRIDES or (_is_control(letter) and letter != "\n") else letter
        for letter in text
    )


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) == "Cc"
