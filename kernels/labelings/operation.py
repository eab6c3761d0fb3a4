"""One sort of each neuron for any number of labelings, overlapping or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from ..common.backends import DTYPES, Backend, pick_backend
from ..common.checks import raise_not_finite
from ..scoring import backend_reference

LabelingBackend = Backend | Literal["numpy"]
_TOGETHER = 1 << 16  # positives of the labelings that Triton takes at a time


@dataclass(frozen=True)
class LabelingScores:
    """Scores of every labeling (rows) at every neuron (columns), float32."""

    ap: Float[Tensor, "labeling neuron"]
    auroc: Float[Tensor, "labeling neuron"]


def score_labelings(
    x: Float[Tensor, "sentence neuron"],
    positive: Bool[Tensor, "labeling sentence"],
    *,
    backend: LabelingBackend = "auto",
) -> LabelingScores:
    """Score every column of ``x`` for each labeling's positives against all other sentences.

    AP and AUROC as in ``score``, ties included. Labelings may overlap: concept sets, or the
    permuted labels of a test. On the CPU each neuron is sorted once; a labeling then costs 0.2 to
    0.6 ns an activation and core, beside a floor of 0.1 for reading its membership byte. In Triton
    a sort serves as many labelings as have 65,536 positives together; for one or two labelings of
    16-bit activations, each of under 2,048 positives, only these are sorted (Triton 3.8 and later).

    Args:
        x: Activations, bfloat16, float16 or float32, any strides.
        positive: Membership of each sentence in each labeling.
        backend: As for ``score``.

    Raises:
        ValueError: NaN or infinity (the column is named), a labeling without positives or without
            negatives, activations or labelings of an unsuitable type or shape.

    >>> x = torch.tensor([[0.9], [0.1], [0.8]])
    >>> score_labelings(x, torch.tensor([[True, False, False], [True, True, False]])).ap.tolist()
    [[1.0], [0.8333333134651184]]
    """
    _check(x, positive)
    path = "numpy" if backend == "numpy" else pick_backend(backend, x)
    if path == "triton":
        return _on_device(x.detach().T, positive.to(x.device))
    # A float32 word has room for any sentence number, a 16-bit word for 65,536 of them.
    widen = x.dtype != torch.float32 and len(x) > 1 << 16
    rows = (x.detach().float() if widen else x.detach()).cpu().T
    member = positive.detach().cpu()
    ap, auroc = torch.empty(2, len(member), len(rows))
    if path == "reference":
        bad = _fill_reference(ap, auroc, rows, member)
    elif path == "numpy" or find_spec("numba") is None:
        from .backend_numpy import fill as fill_numpy

        bad = fill_numpy(ap, auroc, rows, member)
    else:
        from .backend_cpu import fill

        bad = fill(ap, auroc, rows, member)
    if bad >= 0:
        raise_not_finite(rows[bad], bad)
    return LabelingScores(ap.to(x.device), auroc.to(x.device))


def _on_device(rows: Tensor, member: Tensor) -> LabelingScores:
    from . import backend_triton

    ap, auroc = torch.empty(2, len(member), len(rows), device=rows.device)
    counts = member.sum(1).cpu().numpy()
    most = int(counts.max(initial=0))
    if backend_triton.serves(rows.dtype, rows.shape[1], len(member), most):
        bad = backend_triton.fill(ap, auroc, rows, member)
    else:
        bad = _fill_sorted(ap, auroc, rows, member, counts)
    if bad >= 0:
        raise_not_finite(rows[bad], bad)
    return LabelingScores(ap, auroc)


def _fill_sorted(
    ap: Tensor, auroc: Tensor, rows: Tensor, member: Tensor, counts: NDArray[np.int64]
) -> int:
    from ..scoring.backend_triton import fill_ranks

    order = member.nonzero()[:, 1].cpu().numpy()
    offsets = np.concatenate([[0], counts.cumsum()])
    for part in _parts(offsets):
        listed = order[offsets[part.start] : offsets[part.stop]]
        bad = fill_ranks((ap[part], auroc[part], ap[:0]), rows, listed, counts[part])
        if bad >= 0:
            return bad
    return -1


def _parts(offsets: NDArray[np.int64]) -> Iterator[slice]:
    """Labelings side by side that have few enough positives together, or one that has more."""
    first, last = 0, len(offsets) - 1
    while first < last:
        reach = int(np.searchsorted(offsets, offsets[first] + _TOGETHER, side="right")) - 1
        stop = min(max(reach, first + 1), last)
        yield slice(first, stop)
        first = stop


def _check(x: Tensor, positive: Tensor) -> None:
    if x.ndim != 2 or x.dtype not in DTYPES:
        raise ValueError(
            "expected activations [sentence, neuron] in bfloat16, float16 or float32, got "
            f"{x.dtype} of shape {tuple(x.shape)}"
        )
    if positive.dtype != torch.bool or positive.ndim != 2 or positive.shape[1] != len(x):
        raise ValueError(
            f"expected boolean labelings [labeling, {len(x)} sentences], got {positive.dtype} of "
            f"shape {tuple(positive.shape)}"
        )
    sizes = positive.sum(1)
    empty = (sizes == 0) | (sizes == len(x))
    if empty.any():
        at = int(empty.int().argmax())
        raise ValueError(
            f"labeling {at} has {int(sizes[at])} positives among {len(x)} sentences: a score needs "
            "at least one positive and one negative"
        )


def _fill_reference(ap: Tensor, auroc: Tensor, rows: Tensor, member: Tensor) -> int:
    for neuron, values in enumerate(rows):
        if not values.isfinite().all():
            return neuron
        for labeling, positive in enumerate(member):
            ap[labeling, neuron] = backend_reference.average_precision(values, positive)
            auroc[labeling, neuron] = backend_reference.auroc(values, positive)
    return -1
