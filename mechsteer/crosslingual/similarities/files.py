"""Similarity in its run folder: what it wrote, read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mechsteer.artifacts.described import value
from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.runs import Run
from mechsteer.crosslingual.similarities.found import TABLES, Similarity

STAGE = "similarity"


def save_similarity(run: Run, found: Similarity, asked: Mapping[str, Any], inputs: str) -> None:
    """Write ``similarity.NAME.parquet`` for every table and record them in the manifest.

    Args:
        run: of the study.
        found: what is kept.
        asked: the options.
        inputs: digest of what was explained, see ``Inputs.digest``.
    """
    files = {name: f"{STAGE}.{name}.parquet" for name in TABLES}
    for name, table in found.tables.items():
        write_table(run.path / files[name], table)
    facts = {"asked": dict(asked), "inputs": inputs, "notes": list(found.notes)}
    facts["study"] = _studied(run)
    run.finish(STAGE, files=list(files.values()), **facts)


def is_current(run: Run) -> bool:
    """Whether similarity was explained, and the study has not been run anew since."""
    stage = run.manifest["stages"].get(STAGE)
    return stage is not None and stage.get("study") == _studied(run)


def load_similarity(run: Run) -> Similarity:
    """Read what ``save_similarity`` wrote.

    Raises:
        ArtifactError: similarity was not measured, or a file of it was changed.
    """
    stage = run.stage(STAGE)
    notes = value(tuple[str, ...], stage.get("notes"), f"notes of {STAGE}")
    tables = {name: read_table(run.path / f"{STAGE}.{name}.parquet") for name in TABLES}
    return Similarity(**tables, notes=notes)


def _studied(run: Run) -> Any:
    """The hash of the study's results."""
    return run.manifest["stages"].get("study", {}).get("files", {}).get("results.parquet")
