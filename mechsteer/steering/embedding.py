"""A parallel corpus embedded under edits that treat each language in its own way."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from typing_extensions import Unpack

from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.interventions import Edit
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.recording import embed
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
    progress: bool = True,
    **options: Unpack[ReadingOptions],
) -> dict[str, Float[Tensor, "layer _sentence d_model"]]:
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
        progress: show bars where a terminal watches.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        MechsteerError: as ``steer`` and ``embed``; an edit was not fitted for one of the languages.
    """
    model, corpus = as_model(model), as_labelled(corpus)
    reading = reading.changed(options)
    known: dict[str, Any] = {"tokenizer": tokenizer, "reading": reading, "progress": progress}
    embeddings: dict[str, Tensor] = {}
    for language in corpus.languages:
        here = steer(model, *edits, positions=positions, languages=language, tokenizer=tokenizer)
        with here:
            embeddings |= embed(model, corpus.select([language]), **known)
    return embeddings
