"""Fewer edits that do the same as several, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit


def compose(*edits: Edit) -> tuple[Edit, ...]:
    """Edits that act as these do from left to right, neighbours merged where that is exact.

    Neuron edits of one site without windows merge: where both move a neuron the map is ``(a₂a₁,
    a₂b₁ + b₂)``, multiplied in float64 and rounded once. With windows they merge if both have one
    and they share no neuron; what a window lets through depends on what ran before, so all others
    stay in order. Residual edits merge if they are of different points and of one kind: the same
    languages, strength, rank and norm. Edits that change nothing are dropped.

    Merged edits name what they were made of under ``"composed"`` in their provenance.

    >>> compose()
    ()
    """
    merged: list[Edit] = []
    for edit in edits:
        if edit.is_identity():
            continue
        together = _merged(merged[-1], edit) if merged else None
        merged[-1:] = [together] if together else [*merged[-1:], edit]
    return tuple(merged)


def _merged(first: Edit, second: Edit) -> Edit | None:
    if first.model != second.model:
        return None
    if isinstance(first, NeuronEdit) and isinstance(second, NeuronEdit):
        return _merged_neurons(first, second)
    if isinstance(first, ResidualEdit) and isinstance(second, ResidualEdit):
        return _merged_points(first, second)
    return None


def _merged_neurons(first: NeuronEdit, second: NeuronEdit) -> NeuronEdit | None:
    windows = [edit.low is not None for edit in (first, second)]
    shared = bool(torch.isin(first.index, second.index).any())
    if first.site != second.site or (any(windows) and (shared or not all(windows))):
        return None
    index = torch.from_numpy(np.union1d(first.index.numpy(), second.index.numpy()))
    a1, b1 = _spread(first, index)
    a2, b2 = _spread(second, index)
    low, high = (_joined(first, second, end, index) for end in ("low", "high"))
    return replace(
        first,
        **_named(first, second),
        index=index,
        a=(a2 * a1).float(),
        b=(a2 * b1 + b2).float(),
        low=low,
        high=high,
    )


def _spread(edit: NeuronEdit, index: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of the neurons ``index``, the identity where the edit does not move one."""
    places = torch.searchsorted(index, edit.index)
    a = torch.ones(len(index), dtype=torch.float64).index_copy(0, places, edit.a.double())
    return a, torch.zeros_like(a).index_copy(0, places, edit.b.double())


def _joined(first: NeuronEdit, second: NeuronEdit, end: str, index: Tensor) -> Tensor | None:
    ends = [getattr(edit, end) for edit in (first, second)]
    if ends[0] is None:
        return None
    places = torch.searchsorted(index, torch.cat([first.index, second.index]))
    return torch.empty(len(index)).index_copy(0, places, torch.cat(ends))


def _merged_points(first: ResidualEdit, second: ResidualEdit) -> ResidualEdit | None:
    same = ("languages", "strength", "restore_norm")
    alike = all(getattr(first, name) == getattr(second, name) for name in same)
    if not alike or set(first.points) & set(second.points) or first.v.shape[2] != second.v.shape[2]:
        return None
    factors: dict[str, Any] = {}
    for name in ("left", "right"):
        parts = [factor for edit in (first, second) if (factor := getattr(edit, name)) is not None]
        if len(parts) == 1 or (len(parts) == 2 and parts[0].shape[2:] != parts[1].shape[2:]):
            return None
        factors[name] = torch.cat(parts, dim=1) if parts else None
    v = torch.cat([first.v, second.v], dim=1)
    points = (*first.points, *second.points)
    return replace(first, **_named(first, second), points=points, v=v, **factors)


def _named(first: Edit, second: Edit) -> dict[str, Any]:
    names = dict.fromkeys((*first.name.split(" + "), *second.name.split(" + ")))
    parts = [*_parts(first.provenance), *_parts(second.provenance)]
    return {"name": " + ".join(names), "provenance": {"composed": parts}}


def _parts(provenance: Mapping[str, Any]) -> list[Any]:
    """What a composed edit was made of, unless it was scaled since: then it is one part."""
    return provenance["composed"] if set(provenance) == {"composed"} else [dict(provenance)]
