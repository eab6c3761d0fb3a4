"""A study in its run folder: what it wrote, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.runs import Run
from mechsteer.studies.conditions import Condition
from mechsteer.studies.findings import Study, table_names

__all__ = ["load_study", "save_study"]


def save_study(run: Run, found: Study, arguments: Mapping[str, Any]) -> None:
    """Write the tables of a study and record its choices in the manifest."""
    for name, frame in found.tables.items():
        write_table(run.path / f"{name}.parquet", frame)
    facts = {f.name: getattr(found, f.name) for f in fields(found) if f.name not in found.tables}
    facts["chosen"] = [asdict(condition) for condition in found.chosen]
    files = [f"{name}.parquet" for name in found.tables]
    run.finish("study", files=files, arguments=dict(arguments), **facts)


def load_study(run: Run) -> Study:
    """Read what ``save_study`` wrote.

    Raises:
        ArtifactError: the study has not finished, or a file of it was changed.
    """
    facts = run.stage("study")
    facts["chosen"] = tuple(Condition(**condition) for condition in facts["chosen"])
    facts |= {name: read_table(run.path / f"{name}.parquet") for name in table_names()}
    return Study(**{f.name: facts[f.name] for f in fields(Study)})
