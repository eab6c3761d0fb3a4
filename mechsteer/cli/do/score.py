"""What ``mechsteer score`` and ``select`` do: a run folder of scores, and experts from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.files import write_signed
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.places import as_file_name
from mechsteer.artifacts.runs import Run, versions
from mechsteer.cli.do.asked import keep_config
from mechsteer.cli.do.corpora import asked_text, scored_text
from mechsteer.cli.do.models import WEIGHTS, asked_of, model_of, open_model
from mechsteer.cli.requests import ScoreRequest
from mechsteer.corpus import LabelledCorpus
from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.experts.files import describe, load_scores, save_scores
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.model.interface import Model
from mechsteer.model.sites import find_site
from mechsteer.options.ranking import DEFAULT_RANKING, Ranking
from mechsteer.ranks import current
from mechsteer.recording import Recording
from mechsteer.studies.run import record_for_study, score_recorded

SCORES = "scores.safetensors"
RECORDING = "recording"


def score_command(model: str, output: Path, request: ScoreRequest) -> NeuronScores:
    """Record and score a corpus into a run folder; an interrupted run is taken up again.

    The model is loaded and its site found before anything is written.

    Raises:
        CorpusError: fewer than two languages, or none of them to score.
        ArtifactError: the folder holds a run with other inputs.
    """
    text = asked_text(request)
    named = canonical if text.concepts is None else str
    uncounted = tuple(map(named, request.negative_only))
    request = replace(request, negative_only=uncounted)
    scored = _scored_languages(text, uncounted)
    inputs = {"model": model} | request.as_json()
    inputs |= {"fingerprint": text.fingerprint, "versions": versions()}
    current().same("the inputs", inputs)
    with locked(output):
        return _score(output, text, request, inputs, scored)


def _score(
    output: Path,
    text: LabelledCorpus,
    request: ScoreRequest,
    inputs: Mapping[str, Any],
    scored: Sequence[str],
) -> NeuronScores:
    ranks = current()
    if ranks.agreed("whether there is a run", (output / "manifest.json").is_file()):
        run = Run.create(output, inputs, languages=scored)  # or refuse, before a model is loaded
        if all(ranks.gather("whether it is scored", run.is_done("score"))):
            if ranks.first:
                keep_config(run)
            return run_scores(run)
    with ranks.together("loading the model"):
        opened = open_model(inputs["model"], request.device, request.dtype, request.parallel)
        find_site(opened, request.site)
    with ranks.in_turn("starting the run"):
        run = Run.create(output, inputs, languages=scored)
    with run.timed("score"):
        recording = record_for_study(opened, text, request, directory=output / RECORDING)
        found = score_recorded(recording, request)
    with ranks.in_turn("keeping the scores"):
        if ranks.first or not Run.open(output).is_done("score"):  # on a disk of its own
            _keep(run, opened, recording, found)
    return found


def _keep(run: Run, model: Model, recording: Recording, found: NeuronScores) -> None:
    save_scores(found, run.path / SCORES)
    if model.origin is not None:  # it has times in it, so no hash covers it
        write_signed(run.path / WEIGHTS, model.origin.checkpoint.record())
    run.finish("score", files=[SCORES], batch_tokens=recording.batch_tokens, **describe(found))
    keep_config(run)


def select_command(
    path: Path, language: str, k: float, how: Ranking = DEFAULT_RANKING
) -> tuple[Experts, Path]:
    """Write the k best experts of a language as ``RUN/experts/LANGUAGE.kK.BY.csv``.

    Ranked within a script, the file is ``LANGUAGE.kK.BY.script.csv``.
    """
    scores = run_scores(Run.open(path))
    experts = scores.top(language, k, by=how.by, within=how.within)
    name = as_file_name(experts.language)
    file = path / "experts" / f"{name}.k{len(experts)}.{ranked_by(how)}.csv"
    with locked(path):
        write_bytes(file, told(experts.table(), scores).to_csv(index=False).encode())
    return experts, file


def told(table: pd.DataFrame, scores: NeuronScores) -> pd.DataFrame:
    """A table whose column of languages is called what it holds: labels, where they are none."""
    return table.rename(columns={"language": scores.kind})


def ranked_by(how: Ranking) -> str:
    """A ranking as part of a file's name."""
    return how.by if how.within == "all" else f"{how.by}.{how.within}"


def recorded(run: Run) -> tuple[Model, LabelledCorpus, Recording]:
    """The model and the corpus of a scored run, with its recording read back.

    Raises:
        ArtifactError: the model or the corpus is not the one that was scored.
    """
    asked, dev, model = asked_of(run), scored_text(run), model_of(run)
    recording = record_for_study(model, dev, asked, directory=run.path / RECORDING)
    return model, dev, recording


def run_scores(run: Run) -> NeuronScores:
    """The scores of a run.

    Raises:
        ArtifactError: the run was not scored, or its file was changed.
    """
    return load_scores(run.path / SCORES, run.stage("score"))


def names_of(scores: NeuronScores, codes: Sequence[str]) -> list[str]:
    """The scored languages that codes mean.

    Raises:
        MechsteerError: one was not scored, or is named twice.
    """
    names = [scores.name_of(code) for code in codes]
    if len(set(names)) < len(names):
        raise MechsteerError(f"the same {scores.kind} was asked for twice: {', '.join(codes)}")
    return names


def _scored_languages(text: LabelledCorpus, uncounted: Sequence[str]) -> list[str]:
    sets = text.concepts.sets if text.concepts is not None else {}
    known, kind = tuple(sets) or text.languages, "label" if text.concepts else "language"
    if len(text.languages) < 2:
        raise CorpusError(f"expected two {kind}s or more to tell apart, got {list(known)}")
    if unknown := [code for code in uncounted if code not in known]:
        raise MechsteerError(f"--negative-only: {', '.join(unknown)} not among {', '.join(known)}")
    scored = [code for code in known if code not in uncounted]
    if not scored:
        raise MechsteerError(f"--negative-only names every {kind}: none is left to score")
    return scored
