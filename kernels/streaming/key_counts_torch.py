"""Counts per key in plain torch, on any device: integer additions, whose order does not matter."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.checks import first_not_finite

_CHUNK_ELEMENTS = 1 << 22


def touched(wanted: Bool[Tensor, "neuron page"], rows: Float[Tensor, "neuron sentence"]) -> int:
    """Mark the pages that rows need; return the first row that is not finite, or -1."""
    for part, keys in _keys(rows):
        wanted[part].scatter_(1, keys >> 7, True)
    return first_not_finite(rows)


def count(
    pages: Int[Tensor, "used_page key class"],
    table: Int[Tensor, "neuron page"],
    rows: Float[Tensor, "neuron sentence"],
    labels: Int[Tensor, "sentence"],
) -> None:
    """Add one for every activation at its key and class; its page must exist."""
    one = torch.ones((), dtype=torch.int32, device=rows.device)
    for part, keys in _keys(rows):
        page = table[part].gather(1, keys >> 7).long()
        at = (page * pages.shape[1] + (keys & 127)) * pages.shape[2] + labels
        pages.view(-1).scatter_add_(0, at.flatten(), one.expand(at.numel()))


def score(
    pages: Int[Tensor, "used_page key class"],
    table: Int[Tensor, "neuron page"],
    sizes: Int[Tensor, "class"],
) -> tuple[Float[Tensor, "2 class neuron"], bool]:
    """AP and AUROC of every class, and whether every neuron's counts add up."""
    step = _CHUNK_ELEMENTS // (pages[0].numel() * int((table >= 0).sum(1).max()))
    found, sizes = [], sizes.to(table.device)
    for part in torch.split(table, max(1, step)):
        laid_out = pages[part[:, (part >= 0).any(0)].long()]
        found.append(_score_keys(laid_out.flatten(1, 2), sizes))
    scores, complete = zip(*found, strict=True)
    return torch.cat(scores, dim=2), all(complete)


def _keys(rows: Float[Tensor, "neuron sentence"]) -> Iterator[tuple[slice, Tensor]]:
    """Descending keys 0 to 65,535 of some neurons at a time."""
    step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        bits = (rows[part] + 0.0).view(torch.int16).long()  # + 0.0 makes -0.0 positive
        yield part, torch.where(bits < 0, bits + 0x10000, 0x7FFF - bits)


def _score_keys(
    own: Int[Tensor, "neuron key class"], sizes: Int[Tensor, "class"]
) -> tuple[Float[Tensor, "2 class neuron"], bool]:
    """Score in float64, round once; keys come from the highest activation down."""
    n = sizes.sum()
    here = own.sum(2, keepdim=True)
    hits, seen = own.cumsum(1), here.cumsum(1)
    ap = (own * (hits / seen.clamp(min=1).double())).sum(1) / sizes
    below = 2 * (n - seen - sizes + hits) + here - own
    auroc = (own * below).sum(1).double() / (2 * sizes * (n - sizes))
    return torch.stack([ap, auroc]).float().transpose(1, 2), bool((seen[:, -1] == n).all())
