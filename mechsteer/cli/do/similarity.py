"""What ``mechsteer similarity`` does: explains the pairs of a studied run by distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from mechsteer.artifacts.described import fitting
from mechsteer.artifacts.files import write_table
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.cli.requests import SimilarityRequest
from mechsteer.crosslingual.similarities import Similarity, languages_of, read_matrix, similarity
from mechsteer.errors import MechsteerError, shown
from mechsteer.options.likeness import Explaining
from mechsteer.studies.files import load_study


def similarity_command(path: Path, request: SimilarityRequest) -> Similarity:
    """Explain, and keep ``RUN/similarity.effects.parquet`` and ``RUN/similarity.pairs.parquet``."""
    run = Run.open(path)
    with fitting(path):
        study = load_study(run)
    languages = languages_of(study)
    found = similarity(
        study,
        predictors=_matrices(request.predictors, languages),
        responses=_matrices(request.responses, languages),
        **{field.name: getattr(request, field.name) for field in fields(Explaining)},
    )
    with locked(path):
        for name, table in found.tables.items():
            write_table(path / f"similarity.{name}.parquet", table)
        files = [f"similarity.{name}.parquet" for name in found.tables]
        run.finish("similarity", files=files, notes=list(found.notes), **request.as_json())
    return found


def _matrices(named: Sequence[str], languages: Sequence[str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for text in named:
        name, equals, file = text.partition("=")
        if not (name and equals and file) or name in found:
            raise MechsteerError(f"expected NAME=FILE.csv, each name once, got {shown(text)}")
        found[name] = read_matrix(Path(file), languages)
    return found
