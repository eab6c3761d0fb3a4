"""Edits of neurons from their scores: who is moved, and where to."""

from __future__ import annotations

from typing import Literal

import torch

from mechsteer.errors import MechsteerError
from mechsteer.experts import Experts
from mechsteer.interventions.edits import NeuronEdit

Statistic = Literal["median", "mean"]


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
    return NeuronEdit("clamp", experts.site, experts.index, zeros, held, model=experts.model)
