"""Intervals of a share of sentences: right where hits are few, and where there are none."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.errors import MechsteerError


def proportion_interval(
    hits: Int[Tensor, "*cell"], n: int, *, confidence: float = 0.95
) -> tuple[Float[Tensor, "*cell"], Float[Tensor, "*cell"]]:
    """Both ends of the exact interval of a proportion, ``hits`` of ``n``; float64, within [0, 1].

    Clopper and Pearson's: ``low`` is the rate at which so many hits or more have probability
    ``(1 - confidence) / 2``, ``high`` that at which so few or fewer have it. No hits give a low of
    0 and a high of about ``3.7 / n``, all hits the mirror image. It covers the truth at least as
    often as it says, at any rate; a percentile bootstrap of few hits does not.

    Raises:
        MechsteerError: n below 1, hits outside 0 to n or not whole, a confidence outside (0, 1).

    Source: Clopper and Pearson 1934, Biometrika 26; Brown, Cai and DasGupta 2001, section 4.2.1.

    >>> low, high = proportion_interval(torch.tensor([0, 5, 10]), 10)
    >>> low.round(decimals=4).tolist(), high.round(decimals=4).tolist()
    ([0.0, 0.1871, 0.6915], [0.3085, 0.8129, 1.0])
    """
    from scipy.stats import beta

    whole = not (hits.is_floating_point() or hits.is_complex() or hits.dtype == torch.bool)
    if n < 1 or not whole or bool(((hits < 0) | (hits > n)).any()):
        raise MechsteerError(f"expected whole hits from 0 to n and n >= 1, got n={n} and {hits}")
    if not 0 < confidence < 1:
        raise MechsteerError(f"expected a confidence between 0 and 1, got {confidence}")
    tail = (1 - confidence) / 2
    k = hits.detach().cpu()
    low = torch.as_tensor(beta.ppf(tail, k.clamp(min=1).numpy(), (n - k + 1).numpy()))
    high = torch.as_tensor(beta.isf(tail, (k + 1).numpy(), (n - k).clamp(min=1).numpy()))
    return low.where(k > 0, 0.0).double(), high.where(k < n, 1.0).double()
