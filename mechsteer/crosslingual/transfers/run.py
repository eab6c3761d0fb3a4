"""Transfer of a model: probes on its embeddings, untouched, edited, and beside controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mechsteer.corpus.tasks.task import Task
from mechsteer.crosslingual.transfers import protocol
from mechsteer.crosslingual.transfers.division import Division, given_test, held_out
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.crosslingual.transfers.options import TransferOptions
from mechsteer.crosslingual.transfers.predicting import Lesson
from mechsteer.crosslingual.transfers.probe import Learning
from mechsteer.crosslingual.transfers.protocol import Inputs
from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import Edit
from mechsteer.model.interface import Model
from mechsteer.model.sites import residual_points
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.options import records, takes
from mechsteer.progress import with_bars
from mechsteer.recording import DEFAULT_READING, Reading
from mechsteer.studies.conditions import Condition
from mechsteer.studies.edit_factory import EditFactory, Studied
from mechsteer.studies.run import model_functions


@takes(TransferOptions)
@with_bars
def transfer(
    model: ModelLike,
    task: Task,
    *,
    test: Task | None = None,
    edits: Mapping[str, Studied] | None = None,
    scores: NeuronScores | None = None,
    reading: Reading = DEFAULT_READING,
    directory: Path | None = None,
    progress: bool = True,
    **options: Any,
) -> Transfer:
    """Train a linear probe in each language and test it in all, before and after edits.

    Embeddings are frozen; a probe is multinomial logistic regression on dimensions standardised in
    its training language. Test sentences are the same in every language, and no translation of one
    is trained on. An edit acts on the training and the test sentences alike.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        task: labelled parallel sentences: ``ms.corpus.read_task``, ``ms.corpus.labelled``.
        test: other labelled sentences to test on; by default some of ``task`` are held out.
        edits: by name; finished edits act as they are, constructors from experts once for each of
            the ``targets``, beside random neurons in the same layers.
        scores: of every neuron, where an edit is made from experts.
        reading: how sentences are read.
        directory: folder that makes it resumable; None keeps everything in memory.
        progress: show bars where a terminal watches.
        **options: see ``mechsteer.crosslingual.transfers.options``.

    Raises:
        MechsteerError: an option that is unknown or out of range, an edit of experts without
            scores or targets.
        CorpusError: too few sentences of a class, or training and test that do not fit.
    """
    model = as_model(model)
    (wanted,) = records(options, TransferOptions)
    made = edits_of(edits or {}, scores, wanted)
    return run_transfer(
        model, divided(task, test, wanted), made, wanted, reading=reading, directory=directory
    )


def run_transfer(
    model: Model,
    division: Division,
    edits: Mapping[Condition, Edit],
    options: TransferOptions,
    *,
    reading: Reading,
    directory: Path | None,
) -> Transfer:
    """``transfer`` of sentences that are divided, under edits that are made."""
    identity = asdict(model.identity())
    task = division.task
    lesson = Lesson(
        division,
        tuple(options.layers) or tuple(range(len(residual_points(model)))),
        Learning(options.inverse_penalty, options.choose_penalty),
    )
    inputs = Inputs(
        model_functions(model, reading).embed,
        lesson,
        edits,
        options.centring,
        {"model": identity, "reading": asdict(reading)},
        directory,
    )
    labelled = {"name": task.corpus.name, "fingerprint": task.fingerprint}
    return protocol.run(
        inputs,
        resamples=options.resamples,
        seed=options.seed,
        provenance={"model": identity, "task": labelled},
    )


def divided(task: Task, test: Task | None, options: TransferOptions) -> Division:
    """Training and test sentences: given apart, or some held out."""
    if test is not None:
        return given_test(task, test)
    return held_out(task, options.held_out, options.seed)


def edits_of(
    edits: Mapping[str, Studied], scores: NeuronScores | None, options: TransferOptions
) -> dict[Condition, Edit]:
    """Every edit by its condition, at one dose, with its random controls.

    Raises:
        MechsteerError: an edit of experts, without scores or a target.
    """
    finished = {name: edit for name, edit in edits.items() if isinstance(edit, Edit)}
    found: dict[Condition, Edit] = {
        Condition("edit", name, strength=options.strength): edit.scaled(options.strength)
        for name, edit in finished.items()
    }
    others = {name: edit for name, edit in edits.items() if name not in finished}
    if not others:
        return found
    if scores is None or not options.targets:
        raise MechsteerError(
            f"{', '.join(others)}: expected scores and targets for edits that are made from "
            "experts, or finished edits such as ms.clamp(experts)"
        )
    factory = EditFactory(scores, others, options)
    targets = list(dict.fromkeys(map(scores.name_of, options.targets)))
    conditions = factory.conditions(targets, [options.k], [options.strength])
    return found | with_controls(factory, conditions, options)


def with_controls(
    factory: EditFactory, conditions: Iterable[Condition], options: TransferOptions
) -> dict[Condition, Edit]:
    """Edits of conditions, each followed by random neurons in its layers, once a seed."""
    found: dict[Condition, Edit] = {}
    for condition in conditions:
        seeds = options.seeds if condition.k else ()
        for each in (condition, *(factory.control(condition, seed) for seed in seeds)):
            found[each] = factory.edit(each)
    return found
