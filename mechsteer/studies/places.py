"""The rows of the residual stream that results are read at, each with its one name.

``best_layer``: best for retrieval on dev, of the untouched model, among those between the
embedding and the final norm. ``last_block``: what the last block writes. ``final_norm``: what the
norm after it makes of that, which transformers calls ``hidden_states[-1]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch

from mechsteer.analysis.baselines import LayerEmbeddings

Place = Literal["best_layer", "last_block", "final_norm"]


def places(best_layer: int | None, n_layers: int, final_norm: int | None) -> dict[Place, int]:
    """The row of each place that there is, in the order of the model.

    Args:
        best_layer: row chosen on dev; None where none was.
        n_layers: blocks of the model.
        final_norm: its row; None where the model has none.

    >>> places(2, 6, 7)
    {'best_layer': 2, 'last_block': 6, 'final_norm': 7}
    >>> places(None, 6, None)
    {'last_block': 6}
    """
    rows: dict[Place, int | None] = {
        "best_layer": best_layer,
        "last_block": n_layers,
        "final_norm": final_norm,
    }
    return {place: row for place, row in rows.items() if row is not None}


def final_norm_of(embeddings: LayerEmbeddings) -> int | None:
    """Row of the final norm, the last; None where it only repeats the last block's.

    Models that normalise at the end of each block (BERT, XLM-R, E5) have no norm after the last:
    there both rows are equal bit for bit.
    """
    rows = len(next(iter(embeddings.values())))
    same = all(torch.equal(x[-1], x[-2]) for x in embeddings.values())
    return None if same else rows - 1


def ordered(found: Iterable[str]) -> list[Place]:
    """Each place once, in the order of the model; what is no place is left out."""
    there = set(found)
    return [place for place in get_args(Place) if place in there]


def spoken(place: str) -> str:
    """A place in a sentence.

    >>> spoken("last_block")
    'the last block'
    """
    return f"the {place.replace('_', ' ')}"
