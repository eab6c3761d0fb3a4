"""Pooling by its definitions, in float64, one sentence at a time."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Bool, Float
from torch import Tensor


def pool(
    z: Float[Tensor, "batch token neuron"],
    mask: Bool[Tensor, "batch token"],
    outs: Mapping[str, Tensor],
) -> None:
    """Write each pooling of ``z`` to its ``[neuron, batch]`` tensor."""
    for row, real in enumerate(mask.to(z.device)):
        tokens = z[row, real].double()
        pooled = {"max": tokens.amax(0), "mean": tokens.mean(0), "last": tokens[-1]}
        for how, out in outs.items():
            out[:, row] = pooled[how]
