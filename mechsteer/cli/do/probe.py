"""What ``mechsteer probe`` does: asks the experts of a run about copies of its sentences."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pandas as pd

from mechsteer.artifacts.files import read_table, write_table
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.asked import keep_config
from mechsteer.cli.do.models import asked_of
from mechsteer.cli.do.score import names_of, recorded, run_scores
from mechsteer.cli.requests import ProbeRequest
from mechsteer.experts.survival import survival
from mechsteer.options.ranking import Probing

TABLES = ("survival", "survival.neurons")
COPIES = "copies"


def probe_command(path: Path, request: ProbeRequest) -> pd.DataFrame:
    """Write ``RUN/survival.parquet`` and one row an expert beside it; each copy is read once.

    The last answer is kept for the report; the same question again is read back.
    """
    run = Run.open(path)
    scores = run_scores(run)
    languages = names_of(scores, request.languages) or list(scores.languages)
    for language in languages:
        scores.among(language, request.within)
    asked = request.as_json()
    with locked(path):
        if not run.is_done("probe", asked=asked):
            model, dev, recording = recorded(run)
            options = {field.name: getattr(request, field.name) for field in fields(Probing)}
            with run.timed("probe"):
                found = survival(
                    model, dev, recording, scores, languages,
                    reading=asked_of(run).reading, directory=path / COPIES, **options,
                )  # fmt: skip
            for name, table in zip(TABLES, (found.table, found.neurons), strict=True):
                write_table(path / f"{name}.parquet", table)
            run.finish("probe", files=[f"{name}.parquet" for name in TABLES], asked=asked)
        keep_config(run)
    return read_table(path / f"{TABLES[0]}.parquet")


def probed(run: Run) -> pd.DataFrame | None:
    """What ``mechsteer probe`` found; None where it has not been run.

    Raises:
        ArtifactError: a file of it is missing or was changed.
    """
    if "probe" not in run.manifest["stages"]:
        return None
    run.stage("probe")
    return read_table(run.path / f"{TABLES[0]}.parquet")
