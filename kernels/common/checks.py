"""What every operation asks of activations, memberships and labels before it computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .backends import DTYPES


def check_activations(
    x: Tensor, *, n_neurons: int | None = None, dtypes: tuple[torch.dtype, ...] = DTYPES
) -> None:
    """Refuse anything but ``[sentence, neuron]`` of one of ``dtypes``."""
    width = x.shape[1] if n_neurons is None and x.ndim == 2 else n_neurons
    if x.ndim != 2 or x.shape[1] != width or x.dtype not in dtypes:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        neurons = "neuron" if n_neurons is None else f"{n_neurons} neurons"
        raise ValueError(
            f"expected activations [sentence, {neurons}] in {names}, got {x.dtype} of shape "
            f"{tuple(x.shape)}"
        )


def check_state(state: Mapping[str, Tensor], names: Iterable[str]) -> None:
    """Refuse what is not a tensor for each of these names, and no more."""
    if not isinstance(state, Mapping) or set(state) != set(names):
        got = list(state) if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"expected a state of {sorted(names)}, got {got}")
    if wrong := [name for name in names if not isinstance(state[name], Tensor)]:
        raise ValueError(f"expected tensors in a state, got {type(state[wrong[0]])} as {wrong[0]}")


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


def raise_not_finite(values: Float[Tensor, "sentence"], column: int) -> None:
    """Refuse a column, naming it and its first NaN or infinity."""
    sentence = int(values.isfinite().int().argmin())
    raise ValueError(
        f"expected finite activations, got {values[sentence].item()} in column {column} "
        f"(sentence {sentence}): a score cannot rank it"
    )


def plain_booleans(mask: Bool[Tensor, "*shape"]) -> Bool[Tensor, "*shape"]:
    """The same truth values, each stored as 0 or 1.

    Torch takes any byte for true, and a bool tensor made by a view or from foreign memory may hold
    others; a kernel that adds memberships up would count 255 for one.

    >>> plain_booleans(torch.tensor([0, 1, 255], dtype=torch.uint8).view(torch.bool)).long()
    tensor([0, 1, 1])
    """
    return mask.detach().view(torch.uint8) != 0


def class_of_each(
    labels: Tensor, *, n_sentences: int, n_classes: int | None = None
) -> Int[Tensor, "sentence"]:
    """The class of each sentence as int64, on the device of the labels.

    Raises:
        ValueError: Labels that are no integers, of another length, negative, or beyond
            ``n_classes``.
    """
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"expected integer labels, got {labels.dtype}: use labels.long()")
    if labels.shape != (n_sentences,):
        raise ValueError(
            f"expected one label for each of the {n_sentences} sentences, got labels of shape "
            f"{tuple(labels.shape)}"
        )
    found = labels.detach().long()
    outside = found < 0 if n_classes is None else (found < 0) | (found >= n_classes)
    if outside.any():
        known = "of 0 and above"
        if n_classes is not None:
            known = f"0 to {n_classes - 1} for {n_classes} classes"
        raise ValueError(f"expected labels {known}, got {int(found[outside][0])}")
    return found
