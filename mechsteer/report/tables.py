"""Tables of the page: numbers as people read them, and the same data as a CSV link."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd


@dataclass(frozen=True)
class Column:
    """Head of a column; numeric ones align right and sort by value."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class Table:
    """Cells as text, ready for the template to escape."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    csv: str | None = None


def table(frame: pd.DataFrame, *, caption: str, download: bool = False) -> Table:
    """A frame as a table; with ``download`` its CSV, six digits a number, comes along."""
    columns = tuple(
        Column(str(name), bool(pd.api.types.is_numeric_dtype(frame[name]))) for name in frame
    )
    rows = tuple(tuple(map(text, row)) for row in frame.itertuples(index=False))
    return Table(caption, columns, rows, csv_link(frame) if download else None)


def text(value: Any) -> str:
    """A cell: numbers to four digits with a real minus sign, a dash for what is missing.

    >>> text(0.123456), text(-2), text(float("nan")), text("fra_Latn")
    ('0.1235', '−2', '–', 'fra_Latn')
    """
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}") if value % 1 else _whole(value)


def _whole(value: float) -> str:
    return f"{int(value)}".replace("-", "\N{MINUS SIGN}")


def csv_link(frame: pd.DataFrame) -> str:
    """The frame as a ``data:`` address that a browser saves as a CSV file."""
    plain = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return "data:text/csv;charset=utf-8," + quote(plain, safe=",;:.=-_ ", errors="replace")
