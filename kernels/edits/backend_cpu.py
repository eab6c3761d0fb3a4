"""Edits in plain torch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from .coefficients import Coefficients


def edit(z: Tensor, out: Tensor, coefficients: Coefficients, mask: Tensor | None) -> Tensor:
    """Gather the columns, map them, copy them back; differentiable where ``out`` is a clone."""
    # gather and index_copy_ are faster than brackets, in any dtype
    shape = (*z.shape[:2], len(coefficients.index))
    constant = coefficients.b.to(z.dtype).expand(shape)
    clamp = coefficients.n_clamped == len(coefficients.index)
    if clamp and coefficients.bounds is None and mask is None:
        return out.index_copy_(2, coefficients.index, constant)
    before = z.gather(2, coefficients.index.expand(shape))
    after = constant if clamp else (before * coefficients.a).add_(coefficients.b).to(z.dtype)
    if coefficients.n_clamped and not clamp:
        after = torch.where(coefficients.a == 0, constant, after)
    if coefficients.bounds is not None:
        low, high = coefficients.bounds
        after = torch.where((before >= low) & (before <= high), after, before)
    if mask is not None:
        after = torch.where(mask[:, :, None], after, before)
    return out.index_copy_(2, coefficients.index, after)
