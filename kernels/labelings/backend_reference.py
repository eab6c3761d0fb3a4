"""Scores of label sets by their definitions, in float64: slow, obvious, the truth."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from ..scoring import backend_reference as definitions


def fill(
    ap: Float[Tensor, "label_set neuron"],
    auroc: Float[Tensor, "label_set neuron"],
    rows: Float[Tensor, "neuron sentence"],
    positive: Bool[Tensor, "label_set sentence"],
) -> int:
    """Score every row for every label set; return the first row that is not finite, or -1."""
    for neuron, values in enumerate(rows):
        if not values.isfinite().all():
            return neuron
        for k, own in enumerate(positive):
            ap[k, neuron] = definitions.average_precision(values, own)
            auroc[k, neuron] = definitions.auroc(values, own)
    return -1
