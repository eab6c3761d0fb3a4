"""A study in its run folder: what it wrote, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, get_type_hints

from mechsteer.artifacts.described import value
from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.runs import Run
from mechsteer.errors import ArtifactError
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
    stage, hints, tables = run.stage("study"), get_type_hints(Study), table_names()
    parts: dict[str, Any] = {
        name: value(hints[name], stage.get(name), f"{name} of the study in {run.path}")
        for name in (field.name for field in fields(Study))
        if name not in tables
    }
    for part in ("model", "dev", "test"):
        named = value(dict, parts["provenance"].get(part), f"provenance.{part}")
        value(str, named.get("name"), f"provenance.{part}.name")
    if missing := [name for name in tables if f"{name}.parquet" not in stage["files"]]:
        raise ArtifactError(f"the study of {run.path} lacks {', '.join(missing)}: study again")
    parts |= {name: read_table(run.path / f"{name}.parquet") for name in tables}
    return Study(**parts)
