"""Tables of the page: numbers as people read them, and the same data as a CSV link."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pandas as pd

from mechsteer.display import number

CELLS = 40_000  # of the matrices of a figure that are written into the page


@dataclass(frozen=True)
class Column:
    """Head of a column; numeric ones align right and sort by value."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class Table:
    """Cells as text, ready for the template to escape, and the address of the same as CSV.

    ``links`` has the addresses that the neurons of some rows lead to.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    csv: str
    links: Mapping[int, str] = field(default_factory=dict)


def table(frame: pd.DataFrame, *, caption: str) -> Table:
    """A frame as a table, with its CSV."""
    columns = tuple(
        Column(str(name), bool(pd.api.types.is_numeric_dtype(frame[name]))) for name in frame
    )
    cells = [cells_of(frame[name]) for name in frame]
    return Table(caption, columns, tuple(zip(*cells, strict=True)), csv_link(csv_text(frame)))


def cells_of(column: pd.Series[Any]) -> list[str]:
    """A column as text: four digits for its largest number, a real minus, a dash for nothing.

    >>> cells_of(pd.Series([0.5, -0.12345, float("nan")]))
    ['0.5000', '−0.1235', '–']
    >>> cells_of(pd.Series([3, 12])), cells_of(pd.Series(["fra_Latn"]))
    (['3', '12'], ['fra_Latn'])
    """
    if not pd.api.types.is_numeric_dtype(column):
        return [str(value) for value in column]
    decimals = _decimals(column.dropna())
    return [minus(number(float(value), f".{decimals}f")) for value in column]


def _decimals(column: pd.Series[Any]) -> int:
    """Decimals that show four digits of the largest number, or fewer where fewer say it all."""
    largest = float(column.abs().max()) if len(column) else 0.0
    most = min(max(3 - math.floor(math.log10(largest)), 0), 6) if largest else 0
    return next((d for d in range(most) if (column.round(d) == column).all()), most)


def minus(text: str) -> str:
    """A number with a real minus sign, as wide as a plus."""
    return text.replace("-", "\N{MINUS SIGN}")


def csv_text(frame: pd.DataFrame) -> str:
    r"""A frame as CSV, six digits a number, nothing for a missing one.

    Text that a spreadsheet would compute has an apostrophe before it.

    >>> csv_text(pd.DataFrame({"language": ["fra_Latn"], "value": [1 / 3]}))
    'language,value\nfra_Latn,0.333333\n'
    >>> csv_text(pd.DataFrame({"label": ["=1+1"], "value": [-1]}))
    "label,value\n'=1+1,-1\n"
    """
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    safe = frame.assign(**{str(name): frame[name].map(_inert) for name in words})
    safe = safe.rename(columns=_inert)
    return safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _inert(value: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    begins = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if begins else value


def cells_csv(tables: Mapping[str, Sequence[pd.DataFrame]]) -> dict[str, str]:
    """Matrices as CSV by name, or none of them where they have more cells than a page can hold."""
    if sum(table.size for parts in tables.values() for table in parts) > CELLS:
        return {}
    return {name: csv_text(pd.concat(parts)) for name, parts in tables.items() if parts}


def csv_link(text: str) -> str:
    """A ``data:`` address that a browser saves as a CSV file."""
    return "data:text/csv;charset=utf-8," + quote(text, safe=",;:.=-_ ", errors="replace")
