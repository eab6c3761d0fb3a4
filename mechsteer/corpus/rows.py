"""Rows of a corpus as a person writes them: ``0:500``, ``500:``, counted from 0."""

from __future__ import annotations

import re

from mechsteer.errors import CorpusError

ROWS = "rows as 0:500, the first and the one after the last, counted from 0; 500: means to the end"
"""What :func:`parse_rows` expects, for help and messages."""


def parse_rows(text: str) -> tuple[int, int | None]:
    """The first row and the one after the last, ``None`` for the end.

    >>> parse_rows("0:500"), parse_rows("500:")
    ((0, 500), (500, None))

    Raises:
        CorpusError: It is not two numbers of which the second is larger.
    """
    match = re.fullmatch(r"([0-9]{1,18})?:([0-9]{1,18})?", text.strip())
    start, stop = (int(part) if part else None for part in match.groups()) if match else (None, 0)
    if match is None or (stop is not None and stop <= (start or 0)):
        raise CorpusError(f"expected {ROWS}, got {text!r}")
    return start or 0, stop


def are_rows(text: object) -> bool:
    """Whether a value is text that :func:`parse_rows` takes."""
    try:
        parse_rows(str(text))
    except CorpusError:
        return False
    return isinstance(text, str)
