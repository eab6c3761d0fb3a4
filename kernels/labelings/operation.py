"""One sort of each neuron for any number of label sets, overlapping or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.backends import Backend, ChosenBackend, choose_backend
from ..common.checks import check_activations, plain_booleans, raise_not_finite

__all__ = ["LabelingScores", "score_labelings"]


@dataclass(frozen=True)
class LabelingScores:
    """Scores of every label set (rows) at every neuron (columns), float32."""

    ap: Float[Tensor, "label_set neuron"]
    auroc: Float[Tensor, "label_set neuron"]


def score_labelings(
    x: Float[Tensor, "sentence neuron"],
    positive: Bool[Tensor, "label_set sentence"],
    *,
    backend: Backend = "auto",
) -> LabelingScores:
    """Score every column of ``x`` for each label set: its positives against all other sentences.

    AP and AUROC as in ``score``, ties included. Label sets may overlap: concepts, or the permuted
    labels of a test. On the CPU each neuron is sorted once; a label set then costs 0.2 to 0.6 ns an
    activation and core, beside a floor of 0.1 for reading its membership byte. In Triton a sort
    serves as many label sets as have 65,536 positives together; for one or two label sets of 16-bit
    activations, each of under 2,048 positives, only these are sorted (Triton 3.8 and later).

    Args:
        x: Activations, bfloat16, float16 or float32, any strides.
        positive: Membership of each sentence in each label set.
        backend: As for ``score``.

    Raises:
        ValueError: NaN or infinity (the column is named), a label set without positives or without
            negatives, activations or memberships of an unsuitable type or shape.

    >>> x = torch.tensor([[0.9], [0.1], [0.8]])
    >>> score_labelings(x, torch.tensor([[True, False, False], [True, True, False]])).ap.tolist()
    [[1.0], [0.8333333134651184]]
    """
    member = _checked(x, positive)
    chosen = choose_backend(backend, x, has_numpy=True)
    # A float32 word has room for any sentence number, a 16-bit word for 65,536 of them.
    widen = chosen != "triton" and x.dtype != torch.float32 and len(x) > 1 << 16
    home = x.device if chosen == "triton" else torch.device("cpu")
    rows = (x.detach().float() if widen else x.detach()).to(home).T
    ap, auroc = torch.empty(2, len(member), len(rows), dtype=torch.float32, device=home)
    bad = _backend(chosen)(ap, auroc, rows, member.to(home))
    if bad >= 0:
        raise_not_finite(rows[bad], bad)
    return LabelingScores(ap.to(x.device), auroc.to(x.device))


def _checked(x: Tensor, positive: Tensor) -> Bool[Tensor, "label_set sentence"]:
    check_activations(x)
    if positive.dtype != torch.bool or positive.ndim != 2 or positive.shape[1] != len(x):
        raise ValueError(
            f"expected boolean label sets [label set, {len(x)} sentences], got {positive.dtype} of "
            f"shape {tuple(positive.shape)}"
        )
    member = plain_booleans(positive)
    sizes = member.sum(1)
    empty = (sizes == 0) | (sizes == len(x))
    if empty.any():
        at = int(empty.int().argmax())
        raise ValueError(
            f"label set {at} has {int(sizes[at])} positives among {len(x)} sentences: a score "
            "needs at least one positive and one negative"
        )
    return member


def _backend(chosen: ChosenBackend) -> Callable[[Tensor, Tensor, Tensor, Tensor], int]:
    """What fills ``ap`` and ``auroc``; it returns the first row that is not finite, or -1."""
    if chosen == "triton":
        from .backend_triton import fill as fill_triton

        return fill_triton
    if chosen == "cpu":
        from .backend_cpu import fill as fill_cpu

        return fill_cpu
    if chosen == "numpy":
        from .backend_numpy import fill as fill_numpy

        return fill_numpy
    from .backend_reference import fill

    return fill
