"""Which differences are real: a bootstrap clustered by sentence, McNemar's test, Holm's correction.

FLORES-like corpora are translations of one another, so the sentence id is the unit of sampling:
one draw of ids is applied to every cell (a language pair, a layer, a model state) at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

from mechsteer.errors import MechsteerError

_CHUNK = 1000  # resamples drawn at a time: bounds memory, and is part of the seed's meaning


@dataclass(frozen=True)
class Intervals:
    """Means over sentences with percentile intervals, by cell and over all cells.

    Attributes:
        value: Mean of each cell; `low` and `high` bound its interval.
        mean: Mean over the cells; `mean_low` and `mean_high` bound its interval, which knows that
            the cells share their sentences.
    """

    value: Float[Tensor, "cell"]
    low: Float[Tensor, "cell"]
    high: Float[Tensor, "cell"]
    mean: float
    mean_low: float
    mean_high: float


@dataclass(frozen=True)
class AgainstSeeds:
    """An edit beside its random control, drawn once a seed; all by cell.

    Attributes:
        difference: The edit minus the mean over the seeds, with its paired interval over sentences.
            The seeds are held: how far they scatter is told by `rank` and `effect`.
        rank: Place of the edit among the seeds, 1 the highest; a tie counts against the edit.
            ``rank / (1 + seeds)`` is a p-value, never below ``1 / (1 + seeds)``.
        effect: ``(edit - mean of seeds) / standard deviation of seeds`` (ddof 1); infinite where
            the seeds do not scatter and the edit differs, 0 where it does not.
    """

    difference: Intervals
    rank: Int[Tensor, "cell"]
    effect: Float[Tensor, "cell"]


def bootstrap_mean(
    values: Num[Tensor, "sentence cell"] | Bool[Tensor, "sentence cell"],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Intervals:
    """Percentile bootstrap of the mean of every cell and of their mean, sentences resampled.

    Each resample draws as many sentence ids as there are, with replacement, and uses them for all
    cells: ``means[r, c] = sum_i count[r, i] values[i, c] / n``, one product in float64. Sums come
    before divisions, so that hits and whole numbers give exact bounds: what is 0 is not 5e-10. The
    same seed and number of sentences give the same draws, so calls can be compared pairwise.

    Args:
        values: One row a sentence id, one column a cell; hits or numbers.
        resamples: Draws; at least one must fall beyond either end of the interval.
        seed: Of the draws.
        confidence: Of the two-sided interval, between 0 and 1.

    Raises:
        MechsteerError: fewer than two sentences, no cell, NaN or infinity (row and cell named), a
            confidence outside (0, 1), or too few resamples for it.

    Source: Efron and Tibshirani 1993, chapter 13 (percentile); Koehn 2004 (paired, by sentence).

    >>> bootstrap_mean(torch.ones(5, 2)).low.tolist()
    [1.0, 1.0]
    """
    _check(values)
    tail = (1 - confidence) / 2
    if not 0 < confidence < 1 or round(resamples * tail, 9) < 1:
        raise MechsteerError(
            "expected 0 < confidence < 1 and resamples >= 2 / (1 - confidence), "
            f"got confidence={confidence}, resamples={resamples}"
        )
    x = values.detach().cpu().double()
    size = torch.full((x.shape[1] + 1,), float(len(x)), dtype=torch.float64)
    size[-1] *= x.shape[1]
    x = torch.cat((x, x.sum(1, keepdim=True)), dim=1)  # sums of counts are exact, means are not
    draws = torch.cat([counts @ x for counts in _draws(len(x), resamples, seed)]) / size
    low, high = torch.from_numpy(np.quantile(draws.numpy(), (tail, 1 - tail), axis=0))
    value = x.sum(0) / size
    return Intervals(
        value[:-1], low[:-1], high[:-1], value[-1].item(), low[-1].item(), high[-1].item()
    )


def bootstrap_difference(
    after: Float[Tensor, "sentence cell"] | Bool[Tensor, "sentence cell"],
    before: Float[Tensor, "sentence cell"] | Bool[Tensor, "sentence cell"],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Intervals:
    """`bootstrap_mean` of ``after - before``: both states see the same resampled sentences.

    Raises:
        MechsteerError: shapes that differ, or what `bootstrap_mean` refuses.
    """
    _check_paired(after, before)
    difference = after.double() - before.double()
    return bootstrap_mean(difference, resamples=resamples, seed=seed, confidence=confidence)


def against_seeds(
    after: Float[Tensor, "sentence cell"] | Bool[Tensor, "sentence cell"],
    seeds: Float[Tensor, "seed sentence cell"] | Bool[Tensor, "seed sentence cell"],
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> AgainstSeeds:
    """How an edit compares with random controls: difference, rank and standardised effect.

    Args:
        after: The edit's hits or numbers.
        seeds: Those of the control, once a seed, over the same sentences and cells.
        resamples: As in `bootstrap_mean`, like the rest.
        seed: Of the draws.
        confidence: Of the intervals.

    Raises:
        MechsteerError: fewer than two seeds, shapes that differ, or what `bootstrap_mean` refuses.

    >>> hits, none = torch.ones(4, 1), torch.zeros(3, 4, 1)
    >>> found = against_seeds(hits, none)
    >>> found.difference.value.item(), found.rank.item(), found.effect.item()
    (1.0, 1, inf)
    """
    if seeds.ndim != 3 or len(seeds) < 2:
        raise MechsteerError(
            f"expected controls [seed, sentence, cell] of two seeds or more, got "
            f"{tuple(seeds.shape)}"
        )
    for control in seeds:
        _check_paired(after, control)
    drawn = seeds.detach().cpu().double()
    difference = bootstrap_difference(
        after.detach().cpu(), drawn.mean(0), resamples=resamples, seed=seed, confidence=confidence
    )
    own, others = after.detach().cpu().double().mean(0), drawn.mean(1)
    scatter = torch.where(others.amax(0) > others.amin(0), others.std(0), 0.0)
    gap = torch.where((others == own).all(0), 0.0, own - others.mean(0))
    effect = torch.where(gap == 0, 0.0, gap / scatter)
    return AgainstSeeds(difference, 1 + (others >= own).sum(0), effect)


def mcnemar(
    after: Bool[Tensor, "sentence cell"], before: Bool[Tensor, "sentence cell"]
) -> Float[Tensor, "cell"]:
    """Exact two-sided p-value that a cell's hits changed, from its discordant sentences.

    ``p = min(1, 2 P(B <= min(b, c)))``, ``B ~ Binomial(b + c, 1/2)``, b and c the sentences won and
    lost; 1 where none changed. Each cell on its own: correct many with `holm`.

    Raises:
        MechsteerError: hits that are not boolean, shapes that differ, fewer than two sentences.

    Source: McNemar 1947; the exact form of Edwards 1948.
    """
    from scipy.stats import binom

    _check_paired(after, before)
    if after.dtype != torch.bool or before.dtype != torch.bool:
        raise MechsteerError(f"expected boolean hits, got {after.dtype} and {before.dtype}")
    won = (after & ~before).sum(0).cpu().numpy()
    lost = (before & ~after).sum(0).cpu().numpy()
    p = 2 * binom.cdf(np.minimum(won, lost), won + lost, 0.5)
    return torch.from_numpy(np.minimum(p, 1.0))


def holm(p: Float[Tensor, "test"]) -> Float[Tensor, "test"]:
    """Adjusted p-values that control the chance of any false rejection among dependent tests.

    ``p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))`` over the sorted p; float64.

    Raises:
        MechsteerError: no p-value, or one outside [0, 1] or NaN.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.

    >>> holm(torch.tensor([0.04, 0.01, 0.03], dtype=torch.float64))
    tensor([0.0600, 0.0300, 0.0600], dtype=torch.float64)
    """
    if p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise MechsteerError(f"expected a vector of p-values from 0 to 1, got {p}")
    ordered, order = p.double().sort()
    factors = torch.arange(len(p), 0, -1, dtype=torch.float64, device=p.device)
    adjusted = (ordered * factors).clamp(max=1).cummax(0).values
    return torch.empty_like(adjusted).scatter_(0, order, adjusted)


def _draws(n: int, resamples: int, seed: int) -> Iterator[Float[Tensor, "resample sentence"]]:
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, resamples, _CHUNK):
        drawn = torch.randint(n, (min(_CHUNK, resamples - start), n), generator=generator)
        once = torch.ones(drawn.shape, dtype=torch.float64)
        yield torch.zeros_like(once).scatter_add_(1, drawn, once)


def _check(values: Tensor) -> None:
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 1:
        raise MechsteerError(
            f"expected values [sentence, cell] of two sentences or more, got {tuple(values.shape)}"
        )
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        row, cell = bad[0].tolist()
        raise MechsteerError(
            f"expected finite values, got NaN or infinity in row {row}, cell {cell}"
        )


def _check_paired(after: Tensor, before: Tensor) -> None:
    if after.shape != before.shape:
        raise MechsteerError(
            "expected both states over the same sentences and cells, "
            f"got {tuple(after.shape)} and {tuple(before.shape)}"
        )
    _check(after)
    _check(before)
