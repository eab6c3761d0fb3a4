"""What every operation asks of a batch of activations and of the labels that come with it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def check_activations(x: Tensor, *, n_neurons: int | None, dtypes: tuple[torch.dtype, ...]) -> None:
    """Refuse anything but ``[sentence, neuron]`` of one of ``dtypes``."""
    width = x.shape[1] if n_neurons is None and x.ndim == 2 else n_neurons
    if x.ndim != 2 or x.shape[1] != width or x.dtype not in dtypes:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        neurons = "neuron" if n_neurons is None else f"{n_neurons} neurons"
        raise ValueError(
            f"expected activations [sentence, {neurons}] in {names}, got {x.dtype} of shape "
            f"{tuple(x.shape)}"
        )


def first_not_finite(rows: Float[Tensor, "neuron sentence"]) -> int:
    """The first row with NaN or infinity, or -1. One read, two values kept per row."""
    if not rows.numel():
        return -1
    low, high = torch.aminmax(rows, dim=1)
    finite = low.isfinite() & high.isfinite()  # the extremes of a row with NaN are NaN
    return -1 if finite.all() else int(finite.int().argmin())


def refuse_not_finite(x: Float[Tensor, "sentence neuron"]) -> None:
    """Raise for the first column with NaN or infinity."""
    column = first_not_finite(x.T)
    if column >= 0:
        raise_not_finite(x[:, column], column)


def checked_labels(
    labels: Int[Tensor, "sentence"], *, n_sentences: int, n_classes: int
) -> Int[Tensor, "sentence"]:
    """The class of each sentence as int64.

    Raises:
        ValueError: Labels that are no integers, of another length, or not 0 to ``n_classes - 1``.
    """
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"expected integer labels, got {labels.dtype}: use labels.long()")
    if labels.shape != (n_sentences,):
        raise ValueError(
            f"expected one label for each of the {n_sentences} sentences, got labels of shape "
            f"{tuple(labels.shape)}"
        )
    found = labels.detach().long()
    outside = (found < 0) | (found >= n_classes)
    if outside.any():
        raise ValueError(
            f"expected labels 0 to {n_classes - 1} for {n_classes} classes, got "
            f"{int(found[outside][0])}"
        )
    return found


def raise_not_finite(values: Float[Tensor, "sentence"], column: int) -> None:
    """Refuse a column, naming it and its first NaN or infinity."""
    sentence = int(values.isfinite().int().argmin())
    raise ValueError(
        f"expected finite activations, got {values[sentence].item()} in column {column} "
        f"(sentence {sentence}): a score cannot rank it"
    )
