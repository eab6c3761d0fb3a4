"""Batches of neuron-major values, brought into the order of the corpus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor

_AT_ONCE = 64  # neurons that are reordered together


def gathered(
    batches: Iterable[tuple[Tensor, Sequence[Tensor]]], n_sentences: int
) -> list[Shaped[Tensor, "sentence _neuron"]]:
    """Tables of all sentences from parts of each batch, each the transpose of contiguous rows.

    Holds the tables, one batch and a few rows: columns are written one batch after the other and
    turned round in place.

    Args:
        batches: numbers of a batch's sentences, and of each table its part ``[neuron, sentence]``.
        n_sentences: of all batches together.
    """
    tables: list[Tensor] = []
    places, at = [], 0
    for rows, parts in batches:
        if not tables:
            tables = [part.new_empty(len(part), n_sentences) for part in parts]
        for table, part in zip(tables, parts, strict=True):
            table[:, at : at + len(rows)] = part
        places.append(rows)
        at += len(rows)
    order = torch.cat(places).argsort()
    for table in tables:
        for some in torch.split(table, _AT_ONCE):
            some.copy_(some[:, order])
    return [table.T for table in tables]
