"""Optimal transport of one neuron at a time: from how it is elsewhere to how it is in a language.

Both maps act on every token, so they are fitted to mean-pooled activations, in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import Experts
from mechsteer.interventions.edits import NeuronEdit
from mechsteer.interventions.neuron import affine
from mechsteer.interventions.samples import rows_in, samples
from mechsteer.recording import Recording

LEAST_DEVIATION = 1e-4  # of Gaussian transport, as ml-act sets it
# source and target [sentence, neuron] to factor and offset [neuron]
Fit = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def gaussian_transport(
    experts: Experts,
    recording: Recording,
    *,
    source: str | None = None,
    target: str | None = None,
    window: bool = False,
) -> NeuronEdit:
    """Match mean and deviation: ``z ← s₂/s₁ (z - μ₁) + μ₂``, the transport between two normals.

    Deviations have ddof 1. A neuron that hardly varies on either side (deviation up to 1e-4) is
    left as it is: ``a = 1``, ``b = 0``.

    Args:
        experts: whom to move.
        recording: of both languages, with ``"mean"`` among its poolings.
        source: language to move from; None: all sentences that are not in the target.
        target: language to move to; the experts' own by default.
        window: map only incoming values in the range of the source's pooled activations.

    Source: Gaussian-AcT, Rodriguez et al. 2025 (2410.23054), as released in apple/ml-act.

    Raises:
        MechsteerError: a language that was not recorded, or fewer than two sentences of it.
        ArtifactError: the recording lacks mean pooling or a layer, or is of another model.
    """
    return _transported(experts, recording, match_moments, source, target, window=window)


def linear_transport(
    experts: Experts,
    recording: Recording,
    *,
    source: str | None = None,
    target: str | None = None,
    window: bool = True,
) -> NeuronEdit:
    """The affine map nearest to optimal transport in one dimension: least squares on quantiles.

    ``a = ∫(A-ā)(B-b̄) / ∫(A-ā)²`` and ``b = b̄ - a·ā``, where A and B are the quantile functions of
    source and target, steps over the sorted samples, integrated exactly over (0, 1]. Equal numbers
    of sentences pair rank by rank, the published fit; unequal ones pair by quantile and nothing is
    dropped or drawn. A neuron whose source is constant is left as it is: ``a = 1``, ``b = 0``.

    Args:
        experts: whom to move.
        recording: of both languages, with ``"mean"`` among its poolings.
        source: language to move from; None: all sentences that are not in the target.
        target: language to move to; the experts' own by default.
        window: map only incoming values in the range of the source's pooled activations, ends
            included.

    Source: Linear-AcT, Rodriguez et al. 2025 (2410.23054), as released in apple/ml-act, which adds
    noise where the source is constant.

    Raises:
        MechsteerError: a language that was not recorded, or fewer than two sentences of it.
        ArtifactError: the recording lacks mean pooling or a layer, or is of another model.
    """
    return _transported(experts, recording, match_quantiles, source, target, window=window)


def match_moments(
    source: Float[Tensor, "n neuron"], target: Float[Tensor, "m neuron"]
) -> tuple[Float[Tensor, " neuron"], Float[Tensor, " neuron"]]:
    """Factor and offset of ``gaussian_transport`` for each column."""
    (s1, m1), (s2, m2) = torch.std_mean(source, 0), torch.std_mean(target, 0)
    fits = (s1 > LEAST_DEVIATION) & (s2 > LEAST_DEVIATION)
    a = torch.where(fits, s2 / s1, 1.0)
    return a, torch.where(fits, m2 - a * m1, 0.0)


def match_quantiles(
    source: Float[Tensor, "n neuron"], target: Float[Tensor, "m neuron"]
) -> tuple[Float[Tensor, " neuron"], Float[Tensor, " neuron"]]:
    """Factor and offset of ``linear_transport`` for each column."""
    n, m = len(source), len(target)
    # both quantile functions are constant between the multiples of 1/n and 1/m, here in 1/(n·m)
    edges = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)
    lengths, starts = np.diff(edges), edges[:-1]
    weight = torch.from_numpy(lengths / np.gcd.reduce(lengths))[:, None]  # equal sizes: all 1
    x, y = source.sort(0).values, target.sort(0).values
    varies = x[0] < x[-1]
    x_mean, y_mean = source.mean(0), target.mean(0)
    from_, to = (x - x_mean)[starts // m], (y - y_mean)[starts // n]
    a = torch.where(varies, (weight * from_ * to).sum(0) / (weight * from_ * from_).sum(0), 1.0)
    return a, torch.where(varies, y_mean - a * x_mean, 0.0)


def _transported(
    experts: Experts,
    recording: Recording,
    fit: Fit,
    source: str | None,
    target: str | None,
    *,
    window: bool,
) -> NeuronEdit:
    goal = target or experts.language
    to = rows_in(recording, goal)
    from_ = ~to if source is None else rows_in(recording, source)
    if min(int(from_.sum()), int(to.sum())) < 2 or source == goal:
        raise MechsteerError(
            f"expected two sentences or more on either side and two languages, got "
            f"{int(from_.sum())} of {source or 'all others'} and {int(to.sum())} of {goal}"
        )
    a, b, low, high = torch.zeros(4, len(experts), dtype=torch.float64)
    for places, values in samples(experts, recording, "mean"):
        a[places], b[places] = fit(values[from_], values[to])
        low[places], high[places] = values[from_].aminmax(dim=0)
    name = "gaussian_transport" if fit is match_moments else "linear_transport"
    facts = {"source": source, "target": goal, "windowed": window}
    return affine(
        experts, a, b, name, window=(low, high) if window else None, pooling="mean", **facts
    )
