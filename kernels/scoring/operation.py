"""How well each neuron tells each class from all others: exact scores from one sort per neuron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.backends import Backend, ChosenBackend, choose_backend
from ..common.checks import raise_not_finite
from ..common.grouping import Grouping, group
from . import count_sort
from .table import ScoreTable

_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
_STAGING_BYTES = 1 << 28


@dataclass(frozen=True)
class Scores:
    """Scores of every class (rows) at every neuron (columns), float32 on the input's device.

    The moments are ``None`` where they were not asked for. ``counts`` are the sentences of a class.
    """

    ap: Float[Tensor, "class neuron"]
    auroc: Float[Tensor, "class neuron"]
    mean: Float[Tensor, "class neuron"] | None
    median: Float[Tensor, "class neuron"] | None
    std: Float[Tensor, "class neuron"] | None
    rest_mean: Float[Tensor, "class neuron"] | None
    rest_std: Float[Tensor, "class neuron"] | None
    counts: Int[Tensor, "class"]


def score(
    x: Float[Tensor, "sentence neuron"],
    labels: Int[Tensor, "sentence"],
    *,
    n_classes: int | None = None,
    backend: Backend = "auto",
    moments: bool = True,
) -> Scores:
    r"""Score every column of ``x`` for every class against the sentences of all other classes.

    .. math:: AP = \frac{1}{P} \sum_{i \in class} \frac{TP(i)}{TP(i) + FP(i)}

    where TP and FP count the sentences, of the class and not, with an activation >= that of i:
    scikit-learn's ``average_precision_score``. AUROC takes mid-ranks. With ``moments`` also mean,
    median (linear interpolation) and standard deviation (ddof 1) of the class, and mean and
    standard deviation of the rest; one sentence alone has a NaN deviation.

    Equal activations share one threshold and -0.0 equals +0.0, so a constant column scores the
    prevalence and an AUROC of 0.5. No neurons give empty tables.

    Any strides; fastest when each neuron's sentences are contiguous (``x`` is the transpose of a
    ``[neuron, sentence]`` tensor). The cost does not depend on the number of classes. On a CPU
    about 6 ns per element and core with numba, of which the sort takes 4; memory beyond ``x`` and
    the result is a few MB a thread.

    Args:
        x: Activations, floating point.
        labels: Class of each sentence, 0 to ``n_classes - 1``.
        n_classes: One more than the largest label if not given.
        backend: ``"triton"`` sorts up to 8,192 sentences in one program and more by tensor
            operations on the device; ``"cpu"`` is numba where it is installed, ``"numpy"``
            elsewhere; ``"auto"`` is Triton for CUDA tensors, ``"cpu"`` otherwise; ``"reference"``
            is for tests. float64 always goes through ``"numpy"``. For CUDA tensors ``"auto"``
            counts instead of sorting (``count_sort.cu``) where no moments are asked of 16-bit
            activations of 1,025 to 4,096 sentences and cuda-bindings is installed.
        moments: Whether to compute moments as well.

    Raises:
        ValueError: NaN or infinity, or moments beyond float32 (the column is named), a class
            without sentences, fewer than two classes or sentences, labels or activations of an
            unsuitable type or shape.

    >>> x = torch.tensor([[0.9], [0.1], [0.8], [0.8]])
    >>> score(x, torch.tensor([0, 1, 1, 0])).ap.tolist()
    [[0.8333333134651184], [0.4166666567325592]]
    """
    if x.ndim != 2 or x.dtype not in _FLOATS:
        raise ValueError(
            f"expected floating-point activations [sentence, neuron], got {x.dtype} "
            f"of shape {tuple(x.shape)}"
        )
    grouping = group(labels, n_sentences=len(x), n_classes=n_classes)
    shape = (grouping.n_classes, x.shape[1])
    chosen = choose_backend(backend, x, has_numpy=True)
    if x.dtype == torch.float64 and chosen in ("cpu", "triton"):
        chosen = "numpy"
    device = x.device if chosen == "triton" else torch.device("cpu")
    wanted = [shape] * 2 + [shape if moments else (0, 0)] * 5
    table = ScoreTable(*(torch.empty(s, dtype=torch.float32, device=device) for s in wanted))
    rows = x.detach().T
    counted = backend == "auto" and chosen == "triton" and not moments
    if counted and count_sort.serves(rows, grouping.n_classes):
        _refuse(count_sort.fill(table.ap, table.auroc, rows, grouping), rows)
    else:
        _fill(table, rows, grouping, chosen)
    if moments:
        _refuse_overflow(table)
    counts = torch.from_numpy(grouping.counts).to(x.device)
    ap, auroc, *rest = (scores.to(x.device) for scores in table)
    mean, median, std, rest_mean, rest_std = rest if moments else [None] * 5
    return Scores(ap, auroc, mean, median, std, rest_mean, rest_std, counts)


def _refuse_overflow(table: ScoreTable) -> None:
    """Deviations of one sentence are NaN; nothing else may be anything but a float32 number."""
    for name in ("mean", "median", "rest_mean", "std", "rest_std"):
        moment = getattr(table, name)
        wrong = moment.isinf() if name.endswith("std") else ~moment.isfinite()
        if wrong.any():
            column = int(wrong.any(0).int().argmax())
            raise ValueError(
                "expected activations whose moments are float32 numbers, got others in column "
                f"{column} ({name} of class {int(wrong[:, column].int().argmax())}): "
                "scale them down, or leave moments out (moments=False)"
            )


def _fill(table: ScoreTable, rows: Tensor, grouping: Grouping, chosen: ChosenBackend) -> None:
    """Score all rows at once where they are, or in pieces that are copied to the CPU."""
    fill, stays = _backend(chosen), chosen == "triton" or rows.device.type == "cpu"
    step = max(1, len(rows) if stays else _STAGING_BYTES // (rows.shape[1] * rows.element_size()))
    for first in range(0, len(rows), step):
        some = slice(first, first + step)
        piece = rows[some] if stays else rows[some].cpu()
        _refuse(fill(table.neurons(some), piece, grouping), piece, first)


def _refuse(bad: int, rows: Tensor, first: int = 0) -> None:
    """Raise for the row that a backend has found not to be finite, if any."""
    if bad >= 0:
        raise_not_finite(rows[bad], first + bad)


def _backend(chosen: ChosenBackend) -> Callable[[ScoreTable, Tensor, Grouping], int]:
    """What fills a table for rows ``[neuron, sentence]``; returns the first not finite, or -1."""
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
