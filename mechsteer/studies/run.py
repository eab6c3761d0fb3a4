"""The whole road as one resumable study: score, steer, embed, measure, beside the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.corpus.given import Translations, as_parallel
from mechsteer.corpus.overlap import require_held_out
from mechsteer.experts.score import all_poolings, score_recording
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import Edit, ResidualEdit, clamp
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.options import records, takes
from mechsteer.options.memory import USUAL_MEMORY, memory_bytes
from mechsteer.progress import with_bars
from mechsteer.recording import DEFAULT_READING, Reading, Recording, embed, record
from mechsteer.steering import embed_steered, steer
from mechsteer.studies import protocol
from mechsteer.studies.edit_factory import EditFactory, Studied
from mechsteer.studies.findings import Study
from mechsteer.studies.options import ScoreOptions, StudyOptions
from mechsteer.studies.protocol import Inputs, Scored
from mechsteer.studies.runner import ModelFunctions

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus, ParallelCorpus


@takes(ScoreOptions, StudyOptions)
@with_bars
def study(
    model: ModelLike,
    *,
    dev: Translations,
    test: Translations,
    edits: Mapping[str, Studied] | None = None,
    scored: Scored | None = None,
    reading: Reading = DEFAULT_READING,
    text: LabelledCorpus | None = None,
    directory: Path | None = None,
    progress: bool = True,
    **options: Any,
) -> Study:
    """Steer a model to each target language and measure what that does, beside the controls.

    Experts, means for centring, the layer, the k and the strength are all taken from ``dev``;
    ``test`` is only measured on. Conditions: the model as it is; every edit at every k and
    strength; three baselines on the embeddings of the untouched model, fitted on dev (each
    language's mean taken away, the few largest dimensions removed, every dimension standardised);
    and for each edit at its chosen dose as many random neurons in the same layers, once a seed.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        dev: parallel text for scoring and for every choice.
        test: parallel text for the reported numbers, in languages of ``dev``.
        edits: by name; clamping to the median by default. Constructors from experts to an edit;
            ``ByTarget``, constructors from a target language to an edit without experts (DiffMean,
            say); or finished edits, which belong to the one target there is, or to none of several.
        scored: what ``score_for_study`` made of ``dev``, where it is at hand already.
        reading: how sentences are read.
        text: held-out text in the targets' languages, whose bits per byte under every dose join
            ``doses``: what an edit costs the model itself.
        directory: folder that makes the study resumable; None keeps everything in memory.
        progress: show bars where a terminal watches.
        **options: see ``mechsteer.studies.options``.

    Raises:
        MechsteerError: an option that is unknown or out of range.
        CorpusError: the two corpora do not fit, most sentences of test stand in dev, or a target
            was not scored.
    """
    model, dev, test = as_model(model), as_parallel(dev), as_parallel(test)
    scoring, wanted = records(vars(reading) | options, ScoreOptions, StudyOptions)
    require_held_out(dev, test, allow=wanted.allow_overlap)  # before anything is recorded
    if scored is None:
        recording = None if directory is None else directory / "recording"
        scored = score_for_study(model, dev, scoring, directory=recording)
    reading = scoring.reading.settled(scored.batch_tokens)
    return protocol.run(
        Inputs(
            model_functions(model, reading, scoring.memory),
            scored,
            dev,
            test,
            EditFactory(scored.scores, edits or {"clamp": clamp}, wanted),
            reading,
            text=text,
            folder=directory,
        ),
        wanted,
    )


def record_for_study(
    model: ModelLike, dev: LabelledCorpus, options: ScoreOptions, *, directory: Path | None = None
) -> Recording:
    """Record neurons and layer embeddings of a corpus; what a folder holds already is read."""
    return record(
        model,
        dev,
        site=options.site,
        pooling=all_poolings(options.pooling, options.also_pooling),
        embeddings=True,
        directory=directory,
        memory=options.memory,
        reading=options.reading,
    )


def score_for_study(
    model: ModelLike, dev: LabelledCorpus, options: ScoreOptions, *, directory: Path | None = None
) -> Scored:
    """Record neurons and layer embeddings of a corpus in one pass, and score the neurons."""
    recording = record_for_study(model, dev, options, directory=directory)
    scores = score_recorded(recording, options)
    embeddings = recording.embeddings_by_language(memory=memory_bytes(options.memory))
    return Scored(scores, embeddings, recording.batch_tokens)


def score_recorded(recording: Recording, options: ScoreOptions) -> NeuronScores:
    """The scores of a recording as the options ask for them."""
    return score_recording(
        recording,
        pooling=options.pooling,
        negative_only=options.negative_only,
        memory=memory_bytes(options.memory),
    )


def model_functions(
    model: ModelLike, reading: Reading, memory: int | str = USUAL_MEMORY
) -> ModelFunctions:
    """What a study asks of a model, sentences read in one way; see ``embed`` for the memory."""
    return ModelFunctions(
        partial(_embedded, model, reading, memory), partial(_bits_per_byte, model, reading)
    )


def _embedded(
    model: ModelLike,
    reading: Reading,
    memory: int | str,
    corpus: ParallelCorpus,
    edit: Edit | None,
) -> LayerEmbeddings:
    how: dict[str, Any] = {"reading": reading, "memory": memory, "progress": False}
    if edit is None:
        return embed(model, corpus, **how)
    if isinstance(edit, ResidualEdit) and edit.languages:  # a batch must be in one language
        return embed_steered(model, corpus, edit, **how)
    with steer(model, edit):
        return embed(model, corpus, **how)


def _bits_per_byte(
    model: ModelLike, reading: Reading, texts: Sequence[str], language: str, edit: Edit | None
) -> float:
    from mechsteer.costs import perplexity

    edits = () if edit is None else (edit,)
    with steer(model, *edits, languages=language):
        return perplexity(model, texts, prefix=reading.prefix, progress=False).bits_per_byte
