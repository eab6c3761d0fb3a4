"""What an edit does to which neurons: checked tensors, and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Coefficients"]


@dataclass(frozen=True)
class Coefficients:
    """Neurons, their factors and offsets, and between which incoming values they are edited.

    Raises:
        ValueError: If a shape or dtype does not fit.
    """

    index: Int[Tensor, "k"]
    a: Float[Tensor, "k"]
    b: Float[Tensor, "k"]
    low: Float[Tensor, "k"] | None = None
    high: Float[Tensor, "k"] | None = None

    def __post_init__(self) -> None:
        shape = self.index.shape
        if self.index.ndim != 1 or self.index.dtype != torch.int64:
            raise ValueError(f"index must be [k] of int64, got {list(shape)} of {self.index.dtype}")
        for name in ("a", "b", "low", "high"):
            value = getattr(self, name)
            if value is not None and (value.shape != shape or value.dtype != torch.float32):
                raise ValueError(
                    f"{name} must be {list(shape)} of float32, one for each neuron of index, "
                    f"got {list(value.shape)} of {value.dtype}"
                )

    @cached_property
    def bounds(self) -> tuple[Tensor, Tensor] | None:
        """Both bounds, or None where neither was given."""
        if self.low is None and self.high is None:
            return None
        low = torch.full_like(self.a, -torch.inf) if self.low is None else self.low
        return low, torch.full_like(self.a, torch.inf) if self.high is None else self.high

    @cached_property
    def n_clamped(self) -> int:
        """Neurons that get a constant: where all do, no activation need be read."""
        return len(self.a) - int(self.a.count_nonzero())

    def to(self, device: torch.device) -> Self:
        """The edit on a device, as constants."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: v.detach().to(device) for name, v in given.items() if v is not None}
        return replace(self, **moved)
