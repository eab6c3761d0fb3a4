"""What ``mechsteer study`` does: every condition measured into the run that was scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mechsteer.analysis.held import among
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import Run, versions
from mechsteer.cli.do.asked import keep_config
from mechsteer.cli.do.corpora import read_costed, read_test
from mechsteer.cli.do.models import asked_of
from mechsteer.cli.do.score import recorded, run_scores
from mechsteer.cli.edit_names import FORMS, NamedEdit, is_named, named_edit
from mechsteer.cli.requests import StudyRequest
from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import Edit, load_edit
from mechsteer.options.memory import memory_bytes
from mechsteer.ranks import current
from mechsteer.recording import Recording
from mechsteer.studies.edit_factory import EditFactory, Studied
from mechsteer.studies.files import save_study
from mechsteer.studies.findings import Study
from mechsteer.studies.protocol import Inputs, Scored
from mechsteer.studies.protocol import run as run_protocol
from mechsteer.studies.run import model_functions


def study_command(path: Path, request: StudyRequest) -> Study:
    """Steer to each target and measure on another corpus; what was measured already is kept."""
    edits = studied(request.edits)
    run = Run.open(path)
    scores = run_scores(run)
    if scores.label:
        raise MechsteerError(
            f"a study compares translations, and {path} has labels ({scores.label}): select "
            "experts, make an edit, write with it, make cards and a report"
        )
    options = replace(request, targets=tuple(canonical(code) for code in request.targets))
    for edit in edits.values():
        if isinstance(edit, NamedEdit):
            edit.require(scores)
    ranks = current()
    ranks.same("the study", {"options": options.as_json(), "versions": versions()})
    with locked(path):
        dev, test = read_test(run, request)
        options = replace(options, targets=options.targets or _scored_among(scores, dev))
        text = read_costed(request.cost_corpus, dev)
        ranks.same("the text", {"test": test.fingerprint, "text": text and text.fingerprint})
        model, _, recording = recorded(run)
        reading = asked_of(run).reading
        with run.timed("study"):
            memory = memory_bytes(request.memory)
            embeddings = recording.embeddings_by_language(memory=memory)
            scored = Scored(scores, among(embeddings, dev.languages))
            inputs = Inputs(
                model_functions(model, reading, memory),
                scored,
                dev,
                test,
                EditFactory(scores, bound(edits, recording), options),
                reading,
                text=text,
                folder=path / "states",
            )
            found = run_protocol(inputs, options)
        with ranks.in_turn("keeping the study"):
            if ranks.first:
                save_study(run, found, request.as_json())
                keep_config(run)
        return found


def _scored_among(scores: NeuronScores, dev: ParallelCorpus) -> tuple[str, ...]:
    """The languages steered to by default.

    Raises:
        MechsteerError: there are none.
    """
    if found := tuple(code for code in scores.languages if code in dev.languages):
        return found
    raise MechsteerError(
        f"none of --languages was scored: expected some of {', '.join(scores.languages)}"
    )


def studied(given: Sequence[str]) -> dict[str, NamedEdit | Edit]:
    """Edits by name, as they are typed, and files that ``mechsteer edit`` wrote.

    A file is called by its name without the last suffix.

    Raises:
        MechsteerError: no such edit, two of one name, or what ``load_edit`` refuses.
    """
    made: dict[str, NamedEdit | Edit] = {}
    sources: dict[str, str] = {}
    for source in given:
        name = source if is_named(source) else _name_of(source)
        if name in made:
            raise MechsteerError(
                f"two edits are called {name!r} ({sources[name]} and {source}): rename a file, or "
                "name each edit once"
            )
        made[name] = named_edit(source) if is_named(source) else load_edit(source)
        sources[name] = source
    return made


def bound(edits: Mapping[str, NamedEdit | Edit], recording: Recording) -> dict[str, Studied]:
    """The edits, with the recording where one takes it."""
    return {
        name: edit.bound(lambda: recording) if isinstance(edit, NamedEdit) else edit
        for name, edit in edits.items()
    }


def _name_of(source: str) -> str:
    if not (Path(source).suffix or source.startswith("hf://")):
        raise MechsteerError(f"unknown edit {source!r}: expected {FORMS}, or a file")
    return source.rsplit("/", 1)[-1] if source.startswith("hf://") else Path(source).stem
