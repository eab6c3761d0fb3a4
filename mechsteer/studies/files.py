"""A study in its run folder: what it wrote, read back, and the commands that make it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.runs import Run
from mechsteer.studies.protocol import TABLES, Study
from mechsteer.studies.states import State

__all__ = ["how_to_repeat", "load_study", "save_study"]


def save_study(run: Run, found: Study, arguments: Mapping[str, Any]) -> None:
    """Write the tables of a study and record its choices in the manifest."""
    tables = {f"{name}.parquet": getattr(found, name) for name in TABLES}
    for file, frame in tables.items():
        write_table(run.path / file, frame)
    facts = {f.name: getattr(found, f.name) for f in fields(found) if f.name not in TABLES}
    facts["chosen"] = [asdict(state) for state in found.chosen]
    run.finish("study", files=list(tables), arguments=dict(arguments), **facts)


def load_study(run: Run) -> Study:
    """Read what ``save_study`` wrote.

    Raises:
        ArtifactError: the study has not finished, or a file of it was changed.
    """
    facts = run.stage("study")
    facts["chosen"] = tuple(State(**state) for state in facts["chosen"])
    facts |= {name: read_table(run.path / f"{name}.parquet") for name in TABLES}
    return Study(**{f.name: facts[f.name] for f in fields(Study)})


def how_to_repeat(run: Run) -> str:
    """The commands that make a studied run again."""
    inputs, arguments = run.manifest["inputs"], run.manifest["stages"]["study"]["arguments"]
    score = ["mechsteer score", inputs["model"]["source"], "--corpus", inputs["corpus"]["source"]]
    score += ["--split", inputs["corpus"]["split"]] if inputs["corpus"]["split"] else []
    score += ["--limit", str(inputs["corpus"]["limit"])] if inputs["corpus"]["limit"] else []
    score += ["--site", inputs["site"], "--pooling", inputs["pooling"], "-o", "RUN"]
    study_ = ["mechsteer study RUN", *(f"--edit {edit}" for edit in arguments["edits"])]
    study_ += ["--by", arguments["by"]]
    study_ += ["--k", ",".join(map(str, arguments["ks"]))]
    study_ += ["--strength", ",".join(map(str, arguments["strengths"]))]
    study_ += ["--test", arguments["test"]]
    study_ += ["--split", arguments["split"]] if arguments["split"] else []
    study_ += ["--limit", str(arguments["limit"])] if arguments["limit"] else []
    study_ += ["--target", ",".join(arguments["targets"])] if arguments["targets"] else []
    study_ += ["--seeds", str(arguments["seeds"])]
    study_ += ["--text", arguments["text"]] if arguments["text"] else []
    study_ += ["--tune", str(arguments["tune"])] if arguments["tune"] else []
    study_ += ["--choose-at last"] if arguments["choose_at"] == "last" else []
    study_ += [
        f"--{name.replace('_', '-')}" for name in ("only_chosen", "quality") if arguments[name]
    ]
    lines = [" ".join(score), " ".join(study_)]
    if cards := run.manifest["stages"].get("cards"):
        asked = [f"--neuron {name}" for name in cards["neurons"]]
        lines.append(" ".join(["mechsteer cards RUN", *asked, "--top", str(cards["top"])]))
    return "\n".join([*lines, "mechsteer report RUN"])
