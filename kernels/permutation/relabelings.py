"""Random relabelings of sentences, reproducible and drawn one after another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ..common.grouping import Grouping


def relabelings(
    labels: Int[Tensor, "sentence"],
    positions: Int[Tensor, "id class"] | None,
    *,
    draws: int,
    seed: int,
) -> Iterator[Int[Tensor, "sentence"]]:
    """Permute the labels: freely, or within each row of ``positions`` (see ``parallel_positions``).

    Every draw takes the same numbers from one generator, however many are used at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    for _ in range(draws):
        if positions is None:
            yield labels[torch.randperm(len(labels), generator=generator)]
        else:
            chances = torch.rand(positions.shape, generator=generator, dtype=torch.float64)
            drawn = torch.empty_like(labels)
            drawn[positions] = chances.argsort(1)
            yield drawn


def parallel_positions(
    sentence_ids: Int[Tensor, "sentence"], grouping: Grouping
) -> Int[Tensor, "id class"]:
    """Where the sentence of each id and class stands.

    Raises:
        ValueError: ids that are no integers or of another length, or an id that does not have
            exactly one sentence of every class (it is named).

    >>> from ..common.grouping import group
    >>> labels, ids = torch.tensor([0, 1, 1, 0]), torch.tensor([5, 5, 7, 7])
    >>> parallel_positions(ids, group(labels, n_sentences=4)).tolist()
    [[0, 1], [3, 2]]
    """
    if sentence_ids.dtype == torch.bool or sentence_ids.is_floating_point():
        raise ValueError(f"expected integer sentence ids, got {sentence_ids.dtype}")
    if sentence_ids.shape != (grouping.n_sentences,):
        raise ValueError(
            f"expected one id for each of the {grouping.n_sentences} sentences, got ids of shape "
            f"{tuple(sentence_ids.shape)}"
        )
    names, ids = np.unique(sentence_ids.detach().cpu().numpy(), return_inverse=True)
    counts = np.zeros((len(names), grouping.n_classes), np.int64)
    np.add.at(counts, (ids[grouping.order], grouping.classes), 1)
    if (counts != 1).any():
        row, c = np.argwhere(counts != 1)[0]
        raise ValueError(
            f"sentence id {names[row]} has {counts[row, c]} sentences of class {c}: within an id "
            "labels can be permuted only where every class has exactly one sentence; keep the ids "
            "that have, or leave sentence_ids out where sentences are no translations"
        )
    positions = np.empty_like(counts)
    positions[ids[grouping.order], grouping.classes] = grouping.order
    return torch.from_numpy(positions)
