"""What all cases say of a tensor, and how far a result is from its reference."""

from __future__ import annotations

import torch
from torch import Tensor

from mechsteer.throughput.measure import Device


def largest_gap(found: Tensor, expected: Tensor) -> float:
    """Largest absolute difference, in float64."""
    return float((found.double().cpu() - expected.double()).abs().max())


def dtype_name(dtype: torch.dtype) -> str:
    """``"bfloat16"``."""
    return str(dtype).removeprefix("torch.")


def device_of(x: Tensor) -> Device:
    """``"cpu"`` or ``"cuda"``."""
    return "cuda" if x.is_cuda else "cpu"
