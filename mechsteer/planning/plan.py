"""From a model and a corpus to a plan: sizes, rates, stages, and what there is too little of."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import MechsteerError
from mechsteer.experts.score import all_poolings
from mechsteer.model.identity import place_of
from mechsteer.model.interface import Model
from mechsteer.model.sites import find_site
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.options import records, takes
from mechsteer.options.memory import memory_bytes
from mechsteer.planning.calibrate import Subject, calibrate
from mechsteer.planning.devices import Device, device
from mechsteer.planning.footprint import Footprint
from mechsteer.planning.published import published
from mechsteer.planning.rates import Rates, Spent
from mechsteer.planning.record import Plan
from mechsteer.planning.shortages import Room, shortages
from mechsteer.planning.sizes import Sizes, declared_sizes, is_configuration, sizes_of
from mechsteer.planning.stages import Means, stages_of
from mechsteer.planning.states import given_states, states_of
from mechsteer.planning.workload import Workload, counted, estimated, tokenizer_or_none
from mechsteer.progress import with_bars
from mechsteer.recording.batch_size import fitted
from mechsteer.recording.batches import BatchPlan, plan_batches
from mechsteer.recording.points import points_to_read, residual_rows
from mechsteer.studies.options import ScoreOptions, StudyOptions

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus


@takes(ScoreOptions, StudyOptions)
@with_bars
def plan(
    model: ModelLike,
    corpus: LabelledCorpus,
    *,
    test: ParallelCorpus | None = None,
    n_edits: int = 1,
    states: int | None = None,
    gpu: str | None = None,
    ranks: int = 1,
    disk: int | str | None = None,
    directory: Path | None = None,
    dtype: torch.dtype | None = None,
    progress: bool = True,
    **options: Any,
) -> Plan:
    """Tell what a run will take before it runs; nothing is written.

    A model at hand is run on a few batches, and a few of everything else is timed, in some seconds.
    Of a folder with a configuration and no weights, and with ``gpu``, no weight is loaded: seconds
    follow from operations and peak rates, at an assumed share of them. Scoring and measuring are
    the processor's work, and always timed on this one.

    Args:
        model: whatever ``mechsteer.wrap`` takes, or a folder with a ``config.json`` alone.
        corpus: text that is recorded and scored.
        test: text that states are measured on; ``corpus`` itself by default, where it is parallel.
        n_edits: edits of experts that are studied.
        states: how many states are measured, instead of what the options of a study come to.
        gpu: a device that the model will run on, by name, see ``mechsteer.planning.devices``.
        ranks: processes that share the work.
        disk: bytes that may be written; what is free where ``directory`` lies by default, unless
            ``gpu`` names another machine.
        directory: where the run will be kept; the current folder by default.
        dtype: of the weights, where only a configuration is read.
        progress: show bars where a terminal watches.
        **options: see ``mechsteer.studies.options``.

    Raises:
        MechsteerError: an option out of range, a device without published rates, a model that
            cannot be planned. That something falls short is no error here: see ``Plan``.
    """
    scoring, wanted = records(options, ScoreOptions, StudyOptions)
    for name, number in {"ranks": ranks, "n_edits": n_edits, "states": states}.items():
        if number is not None and number < 1:
            raise MechsteerError(f"{name}: expected a whole number of at least 1, got {number}")
    there = None if gpu is None else device(gpu)
    asked = _Asked(corpus, _measured_on(corpus, test), scoring)
    found = _declared(model, there, dtype, asked) or _calibrated(as_model(model), asked)
    n_dev = max(found.dev.counts.values())
    count = len(found.dev.counts)
    tried = given_states(states) if states else states_of(wanted, n_edits, count, n_dev)
    footprint = Footprint(
        found.sizes,
        found.dev,
        _itemsizes(found.sizes, scoring),
        memory=memory_bytes(scoring.memory),
        on_device=found.device != "cpu",
    )
    means = Means(footprint, found.rates, found.dev, found.test, tried, ranks)
    stages = stages_of(means, parallel=asked.test is not None)
    room = Room.of(there, disk, directory, ranks)
    return Plan(
        model=found.sizes.name,
        device=found.device,
        ranks=ranks,
        languages=count,
        sentences=found.dev.n_sentences,
        tokens=found.dev.n_tokens,
        padded=found.dev.n_padded,
        tokens_counted=found.dev.counted,
        batch_tokens=found.batch_tokens,
        neurons=found.sizes.n_neurons,
        parameters=found.sizes.parameters,
        states=tried.embedded + tried.applied if asked.test is not None else 0,
        stages=stages,
        shortages=tuple(shortages(stages, footprint, room)),
        kind=corpus.kind,
    )


@dataclass(frozen=True)
class _Asked:
    """What is to be read: ``test`` is None where no state is measured."""

    corpus: LabelledCorpus
    test: ParallelCorpus | None
    scoring: ScoreOptions


@dataclass(frozen=True)
class _Found:
    """What was found out about a model and its text."""

    sizes: Sizes
    rates: Rates
    dev: Workload
    test: Workload
    batch_tokens: int
    device: str


def _measured_on(corpus: LabelledCorpus, test: ParallelCorpus | None) -> ParallelCorpus | None:
    if test is not None:
        return test
    return corpus if isinstance(corpus, ParallelCorpus) and len(corpus.languages) > 1 else None


def _itemsizes(sizes: Sizes, scoring: ScoreOptions) -> tuple[int, ...]:
    """Bytes of a pooled value: means are float32, all else is as the model computes."""
    poolings = all_poolings(scoring.pooling, scoring.also_pooling)
    return tuple(4 if how == "mean" else sizes.itemsize for how in poolings)


def _declared(
    model: ModelLike, gpu: Device | None, dtype: torch.dtype | None, asked: _Asked
) -> _Found | None:
    """By a configuration alone; None where the model itself is to be timed."""
    if not isinstance(model, (str, Path)) or Path(model).suffix == ".gguf":
        return None
    source = place_of(str(model))
    if gpu is None and not is_configuration(source):
        return None
    sizes = declared_sizes(source, asked.scoring.site, dtype, "cpu" if gpu is None else "cuda")
    reading = asked.scoring.reading
    tokenizer = tokenizer_or_none(source)

    def work(corpus: LabelledCorpus) -> Workload:
        if tokenizer is None:
            return estimated(corpus, reading.number, sizes.context)
        divided = plan_batches(corpus, tokenizer, reading, context=sizes.context)
        return counted(corpus, divided)

    dev = work(asked.corpus)
    test = dev if asked.test in (None, asked.corpus) else work(asked.test)
    rates = published(sizes, dev, test, gpu)
    return _Found(sizes, rates, dev, test, reading.number, gpu.name if gpu else "cpu")


def _calibrated(model: Model, asked: _Asked) -> _Found:
    """By running a few batches of the corpus."""
    model.require_eval()
    scoring = asked.scoring
    residual = residual_rows(model)
    poolings = all_poolings(scoring.pooling, scoring.also_pooling)
    points = find_site(model, scoring.site).points
    read = points_to_read(model, points, poolings, residual, firing=False)
    start = time.perf_counter(), time.process_time()
    dev = _divided(model, asked.corpus, scoring)
    tokenising = Spent(time.perf_counter() - start[0], time.process_time() - start[1])
    if scoring.batch_tokens == "auto":
        dev = fitted(dev, model, read)
    labels = torch.tensor(asked.corpus.flatten()[1])
    subject = Subject(model, dev, read, residual, labels)
    known = counted(asked.corpus, dev)
    test = known
    if asked.test is not None and asked.test is not asked.corpus:
        other = _divided(model, asked.test, scoring).divided(dev.batch_tokens)
        test = counted(asked.test, other)
    rates = calibrate(subject, tokenising * (1 / known.n_sentences), max(test.counts.values()))
    sizes, where = sizes_of(model, scoring.site), str(model.input_device)
    return _Found(sizes, rates, known, test, dev.batch_tokens, where)


def _divided(model: Model, corpus: LabelledCorpus, scoring: ScoreOptions) -> BatchPlan:
    tokenizer = model.plain_tokenizer
    context, n_words = model.context_length(tokenizer), model.n_words
    return plan_batches(corpus, tokenizer, scoring.reading, context=context, n_words=n_words)
