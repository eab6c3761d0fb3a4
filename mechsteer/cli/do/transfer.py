"""What ``mechsteer transfer`` does: probes of a run's model, edited as told or as studied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.asked import keep_config
from mechsteer.cli.do.models import asked_of
from mechsteer.cli.do.score import recorded, run_scores
from mechsteer.cli.do.study import bound, studied
from mechsteer.cli.requests import StudyRequest, TransferRequest
from mechsteer.corpus import ParallelCorpus, Task, labelled, read_task
from mechsteer.corpus.names.languages import canonical
from mechsteer.corpus.tasks.layouts import Told
from mechsteer.corpus.tasks.task import label_column
from mechsteer.crosslingual.transfers.files import load_transfer, save_transfer
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.crosslingual.transfers.run import divided, edits_of, run_transfer, with_controls
from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import Edit
from mechsteer.options import from_json
from mechsteer.recording import Recording
from mechsteer.studies.conditions import Condition
from mechsteer.studies.edit_factory import EditFactory
from mechsteer.studies.files import load_study

STATES = "transfer"


def transfer_command(path: Path, request: TransferRequest) -> Transfer:
    """Probe the run's model and write ``RUN/transfer.parquet``; what was probed is kept.

    ``RUN/transfer.csv`` has the single pairs: source, target and value beside condition, layer and
    metric, a measure for studies of language pairs.
    """
    run = Run.open(path)
    scores = run_scores(run)
    languages = request.languages or run.manifest["languages"]
    train, test = _tasks(request, languages)
    division = divided(train, test, request)
    asked = request.as_json() | {"task": division.task.fingerprint}
    with locked(path):
        if run.is_done("transfer", asked=asked):
            keep_config(run)
            return load_transfer(run)
        model, _, recording = recorded(run)
        edits = _edits(run, request, scores, recording)
        with run.timed("transfer"):
            found = run_transfer(
                model, division, edits, request,
                reading=asked_of(run).reading, directory=path / STATES,
            )  # fmt: skip
        save_transfer(run, found, asked)
        keep_config(run)
    return found


def _tasks(request: TransferRequest, languages: Sequence[str]) -> tuple[Task, Task | None]:
    """Labelled sentences to learn from, and those to test on where they were named."""
    if request.test_split is not None and request.test_split == request.split:
        raise MechsteerError("--test-split: expected another split than --split")
    train = _task(request, languages, request.split)
    return train, _task(request, languages, request.test_split) if request.test_split else None


def _task(request: TransferRequest, languages: Sequence[str], split: str | None) -> Task:
    if request.corpus is None:
        told = Told(request.text, request.column, request.group)
        return read_task(request.labels, languages=languages, split=split, told=told)
    if request.test_split is not None:
        raise MechsteerError("--test-split: expected no --corpus, whose labels are one table")
    corpus = ParallelCorpus.read(request.corpus, languages=languages, split=split)
    table = Path(request.labels)
    groups = label_column(table, request.group) if request.group else ()
    return labelled(corpus, label_column(table, request.column), groups)


def _edits(
    run: Run, request: TransferRequest, scores: NeuronScores, recording: Recording
) -> dict[Condition, Edit]:
    """Edits as told, or those that the run's study chose; none where there is neither."""
    targets = tuple(canonical(code) for code in request.targets)
    if targets or request.edits:
        named = bound(studied(request.edits or ("clamp",)), recording)
        return edits_of(named, scores, replace(request, targets=targets))
    if "study" not in run.manifest["stages"]:
        return {}
    study = load_study(run)
    options = from_json(StudyRequest, run.stage("study")["arguments"])
    factory = EditFactory(scores, bound(studied(options.edits), recording), options)
    return with_controls(factory, study.chosen, request)
