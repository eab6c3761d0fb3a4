"""Transfer in its run folder: what it wrote, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.described import value
from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.runs import Run
from mechsteer.crosslingual.transfers.findings import Transfer

TABLE, MEASURE = "transfer.parquet", "transfer.csv"


def save_transfer(run: Run, found: Transfer, asked: Mapping[str, Any]) -> None:
    """Write the tidy table and the long one of single pairs, and record both in the manifest."""
    write_table(run.path / TABLE, found.results)
    rows = found.results
    single = (rows["source"] != "*") & (rows["target"] != "*") & (rows["source"] != rows["target"])
    write_bytes(run.path / MEASURE, rows[single].to_csv(index=False).encode())
    facts = {f.name: getattr(found, f.name) for f in fields(found) if f.name != "results"}
    run.finish("transfer", files=[TABLE, MEASURE], asked=dict(asked), **facts)


def load_transfer(run: Run) -> Transfer:
    """Read what ``save_transfer`` wrote.

    Raises:
        ArtifactError: transfer was not measured, or a file of it was changed.
    """
    stage, hints = run.stage("transfer"), get_type_hints(Transfer)
    facts = {
        field.name: value(hints[field.name], stage.get(field.name), f"{field.name} of transfer")
        for field in fields(Transfer)
        if field.name != "results"
    }
    return Transfer(results=read_table(run.path / TABLE), **facts)
