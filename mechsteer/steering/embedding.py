"""A parallel corpus embedded under edits that treat each language in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from typing_extensions import Unpack

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.interventions import Edit
from mechsteer.memory import embeddings_bytes, room
from mechsteer.model.sites import residual_points
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.options.memory import USUAL_MEMORY, memory_bytes
from mechsteer.recording import embed
from mechsteer.recording.on_disk import OnDisk
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions
from mechsteer.steering.positions import Positions
from mechsteer.steering.scope import steer


def embed_steered(
    model: ModelLike,
    corpus: Sentences,
    *edits: Edit,
    positions: Positions = "all",
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    memory: int | str = USUAL_MEMORY,
    progress: bool = True,
    **options: Unpack[ReadingOptions],
) -> LayerEmbeddings:
    """``mechsteer.embed`` under edits, each language's sentences in a scope that names it.

    ``embed`` alone divides a corpus into batches by length, across languages; here a batch has one
    language, so edits that depend on it know it.

    Args:
        model: in eval mode, whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language.
        edits: of neurons or of the residual stream; with none this is ``embed``.
        positions: see ``steer``.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        memory: as for ``embed``, of all languages together.
        progress: show bars where a terminal watches.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        MechsteerError: as ``steer`` and ``embed``; an edit was not fitted for one of the languages.
    """
    model, corpus = as_model(model), as_labelled(corpus)
    reading = reading.changed(options)
    known: dict[str, Any] = {"tokenizer": tokenizer, "reading": reading, "progress": progress}

    def embedded() -> Iterator[tuple[str, Tensor]]:
        for language in corpus.languages:
            with steer(model, *edits, positions=positions, languages=language, tokenizer=tokenizer):
                found = embed(model, corpus.select([language]), memory=memory, **known)
            yield language, found[language]

    rows, budget = residual_points(model), room(memory_bytes(memory))
    n_sentences = sum(map(len, corpus.sentences.values()))
    if embeddings_bytes(n_sentences, len(rows), rows[0].width) <= budget:
        return dict(embedded())
    return OnDisk.of(embedded(), budget)
