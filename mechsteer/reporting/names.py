"""Names on the page: none so long that it fills it, and no two that look alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

TEXT_COLUMNS = ("kind", "edit", "language", "other", "source", "target", "metric")
WIDTH = 48  # characters of a name, at most


def cut(table: pd.DataFrame, short: Mapping[str, str]) -> pd.DataFrame:
    """Text columns as categories, which makes large tables quick, with short names."""
    here = [column for column in TEXT_COLUMNS if column in table]
    return table.assign(
        **{column: table[column].astype("category").map(short.__getitem__) for column in here}
    )


def texts_of(tables: Iterable[pd.DataFrame]) -> list[str]:
    """Every text that a text column holds, once, in order."""
    found: dict[str, None] = {}
    for table in tables:
        for column in TEXT_COLUMNS:
            if column in table:
                found |= dict.fromkeys(table[column].unique())
    return list(found)


def briefs(texts: Iterable[str]) -> dict[str, str]:
    """Each text made brief, no two alike: where cutting makes them so, a number tells them apart.

    >>> list(briefs([f"{'a' * 60}{i}{'b' * 20}" for i in range(2)]).values())[1][-6:]
    'bbb ~2'
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        short, number = brief(text), 2
        while short in taken:
            short = f"{brief(text, width=WIDTH - 4)} ~{number}"
            number += 1
        taken.add(short)
        found[text] = short
    return found


def brief(text: object, *, width: int = WIDTH) -> str:
    """Text of at most ``width`` characters, cut in its middle; text that fits is untouched.

    >>> brief("fra_Latn"), brief("abcdefghij", width=7)
    ('fra_Latn', 'abcd…ij')
    """
    whole = str(text)
    if len(whole) <= width:
        return whole
    tail = (width - 1) // 3
    return f"{whole[: width - 1 - tail]}…{whole[len(whole) - tail :]}"
