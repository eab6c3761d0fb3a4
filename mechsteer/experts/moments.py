"""Where sentences put neurons under one more pooling than the scored one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.equality import ByValue
from mechsteer.kernels import Pooling


@dataclass(frozen=True, eq=False)
class Moments(ByValue):
    """Statistics of pooled activations, float32, ``[language, neuron]`` or ``[expert]``.

    ``mean`` and ``median`` are over the language's own sentences, ``rest_mean`` over all others:
    what an edit needs that holds experts at values of another pooling than found them.
    """

    mean: Float[Tensor, "*language neuron"]
    median: Float[Tensor, "*language neuron"]
    rest_mean: Float[Tensor, "*language neuron"]

    def each(self, change: Callable[[Tensor], Tensor]) -> Moments:
        """Every statistic, changed in the same way."""
        return Moments(*(change(getattr(self, name)) for name in MOMENTS))


MOMENTS = tuple(field.name for field in fields(Moments))
Beside: TypeAlias = Mapping[Pooling, Moments]
"""Moments of every pooling that was recorded beside the scored one."""


def each(beside: Beside, change: Callable[[Tensor], Tensor]) -> Beside:
    """Every statistic of every pooling, changed in the same way."""
    return {pooling: moments.each(change) for pooling, moments in beside.items()}


def picked(beside: Beside, rows: Int[Tensor, " expert"]) -> Beside:
    """The moments of some neurons, by their places."""
    return each(beside, lambda table: table[rows])


def joined(several: Sequence[Beside], rows: Int[Tensor, " expert"]) -> Beside:
    """Sets of experts one after the other, then some of all; of the poolings they all have."""
    return {
        pooling: Moments(
            *(torch.cat([getattr(one[pooling], name) for one in several])[rows] for name in MOMENTS)
        )
        for pooling in several[0]
        if all(pooling in one for one in several)
    }
