"""What ``mechsteer similarity`` does: explains the pairs of a studied run by distances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mechsteer.artifacts.described import fitting
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.asked import keep_config
from mechsteer.cli.requests import SimilarityRequest
from mechsteer.crosslingual.similarities import (
    Similarity,
    languages_of,
    read_characteristics,
    read_matrix,
)
from mechsteer.crosslingual.similarities.explain import explained
from mechsteer.crosslingual.similarities.files import STAGE, load_similarity, save_similarity
from mechsteer.crosslingual.similarities.inputs import gathered
from mechsteer.crosslingual.transfers.files import load_transfer
from mechsteer.errors import MechsteerError, shown
from mechsteer.studies.files import load_study


def similarity_command(path: Path, request: SimilarityRequest) -> Similarity:
    """Explain, and keep ``RUN/similarity.*.parquet``; the same question again is read back."""
    run = Run.open(path)
    with fitting(path):
        study = load_study(run)
        probed = load_transfer(run) if request.transfer else None
    languages = languages_of(study)
    inputs = gathered(
        study,
        kinds=request.kinds,
        predictors=_matrices(request.predictors, languages),
        responses=_matrices(request.responses, languages),
        transfer=probed,
        characteristics=None
        if request.characteristics is None
        else read_characteristics(Path(request.characteristics), languages),
        least_coverage=request.least_coverage,
    )
    asked = request.as_json()
    with locked(path):
        if not run.is_done(STAGE, asked=asked, inputs=inputs.digest):
            with run.timed(STAGE):
                found = explained(inputs, permutations=request.permutations, seed=request.seed)
            save_similarity(run, found, asked, inputs.digest)
        keep_config(run)
        return load_similarity(run)


def _matrices(named: Sequence[str], languages: Sequence[str]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for text in named:
        name, equals, file = text.partition("=")
        if not (name and equals and file) or name in found:
            raise MechsteerError(f"expected NAME=FILE.csv, each name once, got {shown(text)}")
        found[name] = read_matrix(Path(file), languages)
    return found
