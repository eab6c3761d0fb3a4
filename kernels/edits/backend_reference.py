"""Edits by their definition, in float64, one activation at a time."""

from __future__ import annotations

from itertools import product

from torch import Tensor

from .coefficients import Coefficients


def edit(z: Tensor, out: Tensor, coefficients: Coefficients, mask: Tensor | None) -> Tensor:
    """Write the edited ``z`` to ``out`` and return it."""
    out.copy_(z)
    for k, neuron in enumerate(coefficients.index.tolist()):
        a, b = float(coefficients.a[k]), float(coefficients.b[k])
        for row, token in product(range(z.shape[0]), range(z.shape[1])):
            x = float(z[row, token, neuron])
            real = mask is None or bool(mask[row, token])
            if coefficients.bounds is not None:
                low, high = coefficients.bounds
                real = real and bool(low[k] <= x <= high[k])
            if real:
                out[row, token, neuron] = a * x + b if a else b
    return out
