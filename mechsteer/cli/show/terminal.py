"""What commands end in: tables and the verdict of a study, as rich text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mechsteer.display import number
from mechsteer.errors import printable

if TYPE_CHECKING:
    import pandas as pd


def print_table(frame: pd.DataFrame, title: str) -> None:
    """Print a frame: numbers right-aligned with three decimals, text as it is, a dash for NaN."""
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
        table.add_row(*map(_cell, row))
    Console(markup=False, highlight=False).print(table)


def _cell(x: object) -> str:
    return number(x) if x is None or isinstance(x, float) else printable(str(x))


def print_json(content: object) -> None:
    """Print what machines read: null for what is not known, as JSON has no NaN."""
    click.echo(json.dumps(_json(content), ensure_ascii=False, allow_nan=False))


def _json(x: object) -> object:
    if isinstance(x, Mapping):
        return {key: _json(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_json(value) for value in x]
    if isinstance(x, float):
        return x + 0.0 if math.isfinite(x) else None
    return x


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
