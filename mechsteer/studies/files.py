"""A study in its run folder: what it wrote, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mechsteer.artifacts.described import described, value
from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.runs import Run
from mechsteer.errors import ArtifactError
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
    stage = run.stage("study")
    own = {f.name: stage.get(f.name) for f in fields(_Facts)}
    facts = described(_Facts, own, f"study of {run.path}")
    missing = [name for name in table_names() if f"{name}.parquet" not in stage["files"]]
    if missing:
        raise ArtifactError(f"the study of {run.path} lacks {', '.join(missing)}: study again")
    for part in ("model", "dev", "test"):
        value(str, value(dict, facts.provenance.get(part), part).get("name"), f"{part}.name")
    parts: dict[str, Any] = dict(vars(facts))
    parts |= {name: read_table(run.path / f"{name}.parquet") for name in table_names()}
    return Study(**parts)


@dataclass(frozen=True)
class _Facts:
    """What the tables alone do not say, as the manifest has it."""

    best_layer: int
    chosen: tuple[Condition, ...]
    n_layers: int
    n_sentences: int
    provenance: Mapping[str, Any]
