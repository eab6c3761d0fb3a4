"""Edits: what a forward pass does to chosen neurons, as one affine family ``z ← a·z + b``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts import Experts
from mechsteer.sites import Site

if TYPE_CHECKING:
    from mechsteer.models import ModelIdentity

Statistic = Literal["median", "mean"]


@dataclass(frozen=True)
class NeuronEdit:
    """The map ``z ← a·z + b`` on chosen neurons of a site, at every position.

    ``index`` are flat neuron numbers ``[neuron]``, distinct; ``a`` and ``b`` float32 ``[neuron]``.
    Arithmetic is float32, the result is cast to the activation's dtype; where ``a`` is 0 the value
    is replaced, so an infinite activation cannot turn into NaN.
    """

    name: str
    site: Site
    index: Int[Tensor, " neuron"]
    a: Float[Tensor, " neuron"]
    b: Float[Tensor, " neuron"]
    model: ModelIdentity | None = None

    def __post_init__(self) -> None:
        """Refuse ragged, repeated, foreign or non-finite entries."""
        if not self.index.shape == self.a.shape == self.b.shape or self.index.dim() != 1:
            shapes = [tuple(t.shape) for t in (self.index, self.a, self.b)]
            raise MechsteerError(f"expected index, a and b of one length, got shapes {shapes}")
        if len(set(self.index.tolist())) != len(self.index):
            raise MechsteerError("expected distinct neurons: one edit moves a neuron once")
        if len(self.index) and not 0 <= int(self.index.min()) <= int(self.index.max()) < (
            self.site.n_neurons
        ):
            raise MechsteerError(f"expected neuron numbers below {self.site.n_neurons}")
        if not (self.a.isfinite().all() and self.b.isfinite().all()):
            raise MechsteerError(f"edit {self.name!r} has coefficients that are not finite")

    def __len__(self) -> int:
        return len(self.index)

    def scaled(self, strength: float) -> NeuronEdit:
        """The edit at strength λ: ``a' = 1 + λ(a - 1)``, ``b' = λb``. λ=0 is no edit at all."""
        if not torch.isfinite(torch.tensor(strength)):
            raise MechsteerError(f"expected a finite strength, got {strength}")
        return replace(self, a=1 + strength * (self.a - 1), b=strength * self.b)

    def is_identity(self) -> bool:
        """Whether the map changes nothing: then no hook is installed and logits stay equal bits."""
        return bool((self.a == 1).all() and (self.b == 0).all())


def clamp(experts: Experts, *, value: Statistic | float = "median") -> NeuronEdit:
    """Hold every expert at one value: ``a = 0``, ``b = value``.

    Args:
        experts: whom to hold.
        value: the neuron's own ``"median"`` or ``"mean"`` over the pooled activations of the
            language's sentences, or one number for all.

    Source: the mean is Sundar et al. 2025 (section 3.3); the median is what Suau et al. 2022 and
    Kojima et al. 2024 released (``on_p50``).
    """
    if value in ("median", "mean"):
        held = getattr(experts, str(value))
    elif isinstance(value, (int, float)):
        held = torch.full((len(experts),), float(value))
    else:
        raise MechsteerError(f"expected value='median', 'mean' or a number, got {value!r}")
    zeros = torch.zeros(len(experts))
    return NeuronEdit("clamp", experts.site, experts.index, zeros, held, experts.model)
