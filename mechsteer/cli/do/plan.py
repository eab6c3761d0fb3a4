"""What ``mechsteer plan`` does: reads text, and tells what a run on it will take."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from mechsteer.cli.do.corpora import asked_text, read_text
from mechsteer.cli.do.models import open_model, require_one_process
from mechsteer.cli.requests import PlanRequest
from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError
from mechsteer.model.device import usable_dtype
from mechsteer.model.wrap import ModelLike
from mechsteer.planning.plan import plan
from mechsteer.planning.record import Plan
from mechsteer.planning.sizes import is_configuration
from mechsteer.studies.options import ScoreOptions, StudyOptions


def plan_command(model: str, request: PlanRequest, output: Path | None) -> Plan:
    """Plan what ``mechsteer score`` and ``study`` would do with these options; nothing is written.

    Raises:
        MechsteerError: what the two would refuse before they run the model.
    """
    if request.parallel == "model":
        require_one_process(request.ranks)
    corpus = asked_text(request)
    names = {field.name for kind in (ScoreOptions, StudyOptions) for field in fields(kind)}
    options = {name: getattr(request, name) for name in sorted(names)}
    options["targets"] = tuple(canonical(code) for code in request.targets)
    made = plan(
        _source(model, request),
        corpus,
        test=_test(request, corpus),
        n_edits=request.n_edits,
        states=request.states,
        gpu=request.gpu,
        ranks=request.ranks,
        disk=request.disk,
        directory=output,
        dtype=usable_dtype(request.dtype),
        **options,
    )
    return replace(made, model=model)


def _source(model: str, request: PlanRequest) -> ModelLike:
    """The model itself where it is to be timed, and where it lies where it is not."""
    if request.gpu is not None or is_configuration(model):
        return model
    return open_model(model, request.device, request.dtype, request.parallel)


def _test(request: PlanRequest, corpus: LabelledCorpus) -> ParallelCorpus | None:
    if request.test is None:
        return None
    test = read_text(
        request.test, corpus.languages, request.test_split,
        rows=request.test_rows, limit=request.test_limit,
    )  # fmt: skip
    if not isinstance(test, ParallelCorpus):
        raise CorpusError("a study needs parallel text: row i is one sentence in every language")
    return test
