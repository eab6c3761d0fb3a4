"""What commands end in: tables and the verdict of a study, as rich text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mechsteer.errors import printable

if TYPE_CHECKING:
    import pandas as pd


def print_table(frame: pd.DataFrame, title: str) -> None:
    """Print a frame: numbers right-aligned with three decimals, text as it is."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=printable(title),
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name, column in frame.items():
        numeric = column.dtype.kind in "if"
        table.add_column(str(name), justify="right" if numeric else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{x:.3f}" if isinstance(x, float) else printable(str(x)) for x in row))
    Console(markup=False, highlight=False).print(table)


def print_verdict(run: Path) -> None:
    """Print what the page says first: a few sentences, and the effects in numbers."""
    from rich.console import Console

    from mechsteer.cli.do.report import summary_command

    sentences, table = summary_command(run)
    for sentence in sentences:
        plain = sentence.replace("\u2068", "").replace("\u2069", "")
        Console(markup=False, highlight=False).print(plain)
    if table is not None:
        print_table(table, "change against no edit, percentage points, mean over ordered pairs")
