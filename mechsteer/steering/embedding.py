"""A parallel corpus embedded under edits that treat each language in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor

from mechsteer.interventions import Edit
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.recording import embed
from mechsteer.steering.positions import Positions
from mechsteer.steering.scope import steer

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus


def embed_steered(
    model: ModelLike,
    corpus: LabelledCorpus,
    *edits: Edit,
    positions: Positions = "all",
    **reading: Any,
) -> dict[str, Float[Tensor, "layer sentence d_model"]]:
    """``mechsteer.embed`` under edits, each language's sentences in a scope that names it.

    ``embed`` alone divides a corpus into batches by length, across languages; here a batch has one
    language, so edits that depend on it know it.

    Args:
        model: a TransformerBridge in eval mode.
        corpus: sentences by language.
        edits: of neurons or of the residual stream; with none this is ``embed``.
        positions: see ``steer``.
        reading: options of ``embed``.

    Raises:
        MechsteerError: as ``steer`` and ``embed``; an edit was not fitted for one of the languages.
    """
    model = as_model(model)
    embeddings: dict[str, Tensor] = {}
    for language in corpus.languages:
        with steer(model, *edits, positions=positions, languages=language):
            embeddings |= embed(model, corpus.select([language]), **reading)
    return embeddings
