"""How far apart the activations of two groups of sentences are, in standard deviations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["effect_size"]


def effect_size(
    mean: Float[Tensor, "*shape"],
    std: Float[Tensor, "*shape"],
    rest_mean: Float[Tensor, "*shape"],
    rest_std: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Cohen's d, ``(μ₊ - μ₋) / √((s₊² + s₋²) / 2)``, from the moments of ``score``; float32.

    0 where both deviations are 0, and where one is NaN because its group is a single sentence.

    >>> one, zero = torch.ones(2), torch.zeros(2)
    >>> effect_size(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 0.0]), one, torch.eye(2)[0])
    tensor([2., 0.])
    """
    pooled = ((std.double() ** 2 + rest_std.double() ** 2) / 2).sqrt()
    distance = mean.double() - rest_mean.double()
    return torch.where(pooled > 0, distance / pooled, 0.0).float()
