"""Every public measure of a space as one number, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mechsteer import analysis
from tests.planted.made import Space

Number = Callable[[Space], float]


@dataclass(frozen=True)
class Measure:
    """How to take it, what it says of unrelated spaces, and what counts as a change."""

    of: Number
    chance: Callable[[int], float] = lambda n: 0.0
    least: float = 0.05


def pairwise(measure: Callable[[Tensor, Tensor], Tensor | float]) -> Number:
    """Mean over the pairs with the first language, the one that a rotation turns."""

    def mean(x: Space) -> float:
        first, *others = x.values()
        values = [torch.as_tensor(measure(first, y)).double().mean() for y in others]
        return float(torch.stack(values).mean())

    return mean


def jointly(measure: Callable[[Space], Tensor]) -> Number:
    """The same pairs of a matrix over all languages."""
    return lambda x: float(measure(x)[0, 1:].double().mean())


def each(measure: Callable[[Tensor], float]) -> Number:
    return lambda x: sum(map(measure, x.values())) / len(x)


def rescored(rule: Callable[[Tensor], Tensor]) -> Number:
    return pairwise(lambda x, y: analysis.top1_hits(x, y, rescore=rule))


def biased_cka(x: Tensor, y: Tensor) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return analysis.biased_cka(x, y)


def one_in(n: int) -> float:
    return 1 / n


def half(_: int) -> float:
    return 0.5


def mean_reciprocal(n: int) -> float:
    return sum(1 / rank for rank in range(1, n + 1)) / n


MEASURES = {
    "top1_hits": Measure(pairwise(analysis.top1_hits), one_in, 0.02),
    "retrieval": Measure(jointly(lambda x: analysis.retrieval(x).margin), one_in, 0.01),
    "ratio_margin": Measure(rescored(analysis.ratio_margin), one_in, 0.01),
    "difference_margin": Measure(rescored(analysis.difference_margin), one_in, 0.01),
    "csls": Measure(rescored(analysis.csls), one_in, 0.01),
    "mexa_hits": Measure(pairwise(analysis.mexa_hits), one_in, 0.03),
    "mixed_pool_hits": Measure(jointly(analysis.mixed_pool_hits), one_in, 0.01),
    "translation_ranks": Measure(
        pairwise(lambda x, y: analysis.translation_ranks(x, y).double().log()),
        lambda n: sum(torch.arange(1, n + 1).double().log().tolist()) / n,
        0.1,
    ),
    "reciprocal_ranks": Measure(
        pairwise(lambda x, y: analysis.reciprocal_ranks(analysis.translation_ranks(x, y))),
        mean_reciprocal,
    ),
    "hits_at": Measure(
        pairwise(lambda x, y: analysis.hits_at(analysis.translation_ranks(x, y), 5)),
        lambda n: 5 / n,
        0.03,
    ),
    "translation_margin": Measure(pairwise(analysis.translation_margin)),
    "translation_margin raw": Measure(
        pairwise(lambda x, y: analysis.translation_margin(x, y, centred=False)), least=0.003
    ),
    "translation_auroc": Measure(pairwise(analysis.translation_auroc), half, 0.005),
    "translation_auroc raw": Measure(
        pairwise(lambda x, y: analysis.translation_auroc(x, y, centred=False)), half, 0.005
    ),
    "debiased_cka": Measure(pairwise(analysis.debiased_cka)),
    "cka_matrix": Measure(jointly(analysis.cka_matrix)),
    "biased_cka": Measure(pairwise(biased_cka), lambda n: 32 / (32 + n)),
    "neuron_correlation": Measure(pairwise(analysis.neuron_correlation)),
    "procrustes": Measure(pairwise(analysis.procrustes), least=0.02),
    "mutual_neighbours": Measure(
        pairwise(analysis.mutual_neighbours), lambda n: 10 / (n - 1), 0.03
    ),
    "pair_distances": Measure(jointly(analysis.pair_distances), lambda n: 1.0),
    "mean_distances": Measure(jointly(analysis.mean_distances)),
    "skewness": Measure(
        pairwise(lambda x, y: analysis.skewness(analysis.k_occurrence(x, y))), least=0.5
    ),
    "anti_hubs": Measure(
        pairwise(lambda x, y: analysis.anti_hubs(analysis.k_occurrence(x, y))), least=0.02
    ),
    "mean_cosine": Measure(each(analysis.mean_cosine), least=0.01),
    "participation_ratio": Measure(each(analysis.participation_ratio), least=1.0),
    "largest_share": Measure(each(analysis.largest_share), least=0.02),
    "iso_score": Measure(each(analysis.iso_score)),
    "probe_accuracy": Measure(analysis.probe_accuracy),
    "centroid_accuracy": Measure(analysis.centroid_accuracy),
    "silhouette": Measure(analysis.silhouette, least=0.03),
    "v_measure": Measure(analysis.v_measure),
    "subspace_angles": Measure(
        pairwise(lambda x, y: analysis.subspace_angles(x, y, rank=5)), least=0.04
    ),
}
