"""The k best detectors of one class, exactly, without scoring every neuron.

Average precision is bounded from counts in bins (``bounds.py``) at a fraction of the cost of a
sort. A neuron whose upper bound is below the k-th largest lower bound cannot be among the k best
nor tie with the last of them; only the others are scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.backends import DTYPES, Backend, ChosenBackend, choose_backend
from ..common.checks import (
    check_activations,
    class_of_each,
    plain_booleans,
    raise_not_finite,
)
from ..scoring.effect import effect_size
from ..scoring.operation import score
from .bounds import SLACK

__all__ = ["TopExperts", "top_experts"]

_STAGING_BYTES = 1 << 27


@dataclass(frozen=True)
class TopExperts:
    """The k best columns, best first, on the input's device.

    ``tied_at_cut`` counts the columns of all whose AP equals that of the last expert (0 for k = 0),
    ``n_scored`` those that were scored exactly.
    """

    index: Int[Tensor, "k"]
    ap: Float[Tensor, "k"]
    effect_size: Float[Tensor, "k"]
    tied_at_cut: int
    n_scored: int


def top_experts(
    x: Float[Tensor, "sentence neuron"],
    positive: Bool[Tensor, "sentence"],
    k: int,
    *,
    labels: Int[Tensor, "sentence"] | None = None,
    backend: Backend = "auto",
) -> TopExperts:
    """Find the k columns of ``x`` that tell the positives best from all other sentences.

    Order: average precision of ``score`` (float32), descending; then ``effect_size``, descending;
    then the column. It is the order of scoring everything and sorting, ties included: what is left
    out is proven to be worse than the cut. A constant column scores the prevalence.

    Any strides; fastest when each neuron's sentences are contiguous. On a CPU about 1.2 ns an
    element and core with numba, beside scoring the neurons that are left: the
    k best and those within the bounds' width of the cut, which is every neuron where all tie.
    Memory beyond ``x`` stays below about 300 MB.

    Args:
        x: Activations, bfloat16, float16 or float32; float64 is scored whole.
        positive: Which sentences are positives; at least one, and at least one not.
        k: Number of experts, 0 to the number of columns.
        labels: Class of each sentence, the positives being one class: effect sizes then have the
            bits of those of ``score(x, labels)``, which pools the rest class by class.
        backend: ``"cpu"`` is numba where it is installed, ``"numpy"`` elsewhere; ``"triton"``
            scores the columns that are left where ``score(backend="auto")`` does; ``"reference"``
            scores everything, for tests.

    Raises:
        ValueError: NaN or infinity in any column (it is named), no positive or no negative, k out
            of range, activations or positives of an unsuitable type or shape.

    >>> x = torch.tensor([[3.0, 0.1, 0.9], [1.0, 0.2, 0.1], [2.0, 0.9, 0.8], [1.5, 0.3, 0.2]])
    >>> found = top_experts(x, torch.tensor([True, False, True, False]), 2)
    >>> found.index.tolist(), found.ap.tolist(), found.tied_at_cut
    ([2, 0], [1.0, 1.0], 2)
    """
    _check(x, positive, k, labels)
    chosen = choose_backend(backend, x, has_numpy=True)
    rows, member = x.detach().T, plain_booleans(positive).to(x.device)
    classes = member.long() if labels is None else labels.detach().to(x.device)
    if chosen == "reference" or x.dtype == torch.float64:
        left = torch.arange(len(rows), device=x.device)
    else:
        lo, hi = _bounds(rows, member, chosen)
        cut = lo.topk(k).values.min() if k else lo.new_tensor(float("inf"))
        left = (hi * (1 + SLACK) >= cut * (1 - SLACK)).nonzero().flatten().to(x.device)
    target = int(classes[member][0])
    ap, d = _scored(rows, left, classes, target, "auto" if chosen == "triton" else chosen)
    order = np.lexsort((-d.numpy(), -ap.numpy()))[:k]  # columns ascend already
    tied = int((ap == ap[order[-1]]).sum()) if k else 0
    best = torch.from_numpy(order)
    index = left[best.to(x.device)]
    return TopExperts(index, ap[best].to(x.device), d[best].to(x.device), tied, len(left))


def _check(x: Tensor, positive: Tensor, k: int, labels: Tensor | None) -> None:
    check_activations(x, dtypes=(*DTYPES, torch.float64))
    if positive.dtype != torch.bool or positive.shape != (len(x),):
        raise ValueError(
            f"expected one boolean for each of the {len(x)} sentences, got {positive.dtype} of "
            f"shape {tuple(positive.shape)}"
        )
    size = int(plain_booleans(positive).sum())
    if size in (0, len(x)):
        raise ValueError(
            f"expected at least one positive and one negative, got {size} positives among "
            f"{len(x)} sentences"
        )
    if labels is not None:
        found = class_of_each(labels, n_sentences=len(x))
        own = found[positive.to(found.device)]
        if (own != own[0]).any() or int((found == own[0]).sum()) != size:
            raise ValueError("expected labels of which the positives are one class, got others")
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= x.shape[1]:
        raise ValueError(f"k must be an integer in 0..{x.shape[1]}, the number of columns, got {k}")


def _bounds(
    rows: Tensor, member: Tensor, chosen: ChosenBackend
) -> tuple[Float[Tensor, "neuron"], Float[Tensor, "neuron"]]:
    """Bound all rows at once where they are, or in pieces that are copied to the CPU."""
    bound = _backend(chosen)
    staged = chosen != "triton" and rows.device.type != "cpu"
    device = torch.device("cpu") if staged else rows.device
    lo, hi = torch.empty(2, len(rows), dtype=torch.float32, device=device)
    step = _step(rows) if staged else max(1, len(rows))
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        bad = bound(lo[part], hi[part], rows[part].to(device), member.to(device))
        if bad >= 0:
            raise_not_finite(rows[first + bad], first + bad)
    return lo, hi


def _backend(chosen: ChosenBackend) -> Callable[[Tensor, Tensor, Tensor, Tensor], int]:
    """What fills both bounds for rows; it returns the first row that is not finite, or -1."""
    if chosen == "triton":
        from .backend_triton import bound as bound_triton

        return bound_triton
    if chosen == "numpy":
        from .backend_numpy import bound as bound_numpy

        return bound_numpy
    from .backend_cpu import bound

    return bound


def _scored(
    rows: Tensor, left: Tensor, classes: Tensor, target: int, backend: Backend
) -> tuple[Float[Tensor, "left"], Float[Tensor, "left"]]:
    """AP and effect size of the rows that are left, on the CPU."""
    ap, d = torch.empty(2, len(left), dtype=torch.float32)
    step = _step(rows)
    for first in range(0, len(left), step):
        part = slice(first, first + step)
        found = score(rows[left[part]].T, classes, backend=backend)
        moments = (found.mean, found.std, found.rest_mean, found.rest_std)
        ap[part] = found.ap[target].cpu()
        d[part] = effect_size(*(table[target] for table in moments if table is not None)).cpu()
    return ap, d


def _step(rows: Tensor) -> int:
    """Rows that fill the staging memory."""
    return max(1, _STAGING_BYTES // (rows.shape[1] * rows.element_size()))
