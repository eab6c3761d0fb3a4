"""What a space of sentences is like beyond retrieval: is it aligned, isotropic, language-neutral?

Single numbers of a state, means over all pairs of languages where a pair is measured. Those of
``CHEAP`` are had at every layer; a classifier or a ranking over everything is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.alignment import cka_matrix, translation_auroc, translation_margin
from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.dimensions import largest_share
from mechsteer.analysis.held import at_layer, pairs
from mechsteer.analysis.hubness import k_occurrence, skewness
from mechsteer.analysis.isotropy import iso_score, mean_cosine, participation_ratio
from mechsteer.analysis.neutrality import (
    centroid_accuracy,
    probe_accuracy,
    silhouette,
    v_measure,
)
from mechsteer.analysis.ranking import mixed_pool_hits, reciprocal_ranks, translation_ranks
from mechsteer.analysis.similarity import Embeddings
from mechsteer.analysis.structure import neuron_correlation

Measure = Callable[[Embeddings], float]


def _over_pairs(of_pair: Callable[[Tensor, Tensor], Tensor | float]) -> Measure:
    def mean(embeddings: Embeddings) -> float:
        values = {
            (s, t): torch.as_tensor(of_pair(x, y), dtype=torch.float64).mean()
            for s, t, x, y in pairs(embeddings, lambda x: x, times=4)
        }
        return float(torch.stack([values[pair] for pair in sorted(values)]).mean())

    return mean


def _pooled(of_space: Callable[[Tensor], float]) -> Measure:
    return lambda embeddings: of_space(torch.cat(list(embeddings.values())))


def _mean_cka(embeddings: Embeddings) -> float:
    cka = cka_matrix(embeddings)
    return float(cka[~torch.eye(len(cka), dtype=torch.bool)].mean())


def _hubness(x: Tensor, y: Tensor) -> float:
    """Mean over both directions."""
    k = min(10, len(x) - 1)
    return (skewness(k_occurrence(x, y, k=k)) + skewness(k_occurrence(y, x, k=k))) / 2


def _mixed_pool(embeddings: Embeddings) -> float:
    hits = mixed_pool_hits(embeddings).double()
    return float(hits[~torch.eye(len(hits), dtype=torch.bool)].mean())


def _largest_share(x: Tensor) -> float:
    """Of the squared norm, in the 3 largest dimensions; in all of them where there are fewer."""
    return largest_share(x, k=min(3, x.shape[-1]))


CHEAP: dict[str, Measure] = {
    "translation_margin": _over_pairs(translation_margin),
    "cka_debiased": _mean_cka,
    "neuron_correlation": _over_pairs(neuron_correlation),
    "mean_cosine": _pooled(mean_cosine),
    "largest_share": _pooled(_largest_share),
}
COSTLY: dict[str, Measure] = {
    "translation_auroc": _over_pairs(translation_auroc),
    "reciprocal_rank": _over_pairs(lambda x, y: reciprocal_ranks(translation_ranks(x, y))),
    "mixed_pool_top1": _mixed_pool,
    "hubness_skewness": _over_pairs(_hubness),
    "iso_score": _pooled(iso_score),
    "participation_ratio": _pooled(participation_ratio),
    "probe_accuracy": probe_accuracy,
    "centroid_accuracy": centroid_accuracy,
    "silhouette": silhouette,
    "v_measure": v_measure,
}
QUALITIES = (*CHEAP, *COSTLY)


def qualities(
    embeddings: LayerEmbeddings, probed: Collection[int]
) -> Float[Tensor, "quality layer"]:
    """Every quality at every layer, float64, in the order of ``QUALITIES``.

    Args:
        embeddings: of parallel sentences, by language.
        probed: layers at which the costly ones are measured; NaN at the others.

    Raises:
        MechsteerError: what the metrics of ``mechsteer.analysis`` refuse.
    """
    n_layers = len(next(iter(embeddings.values())))
    found = torch.full((len(QUALITIES), n_layers), torch.nan, dtype=torch.float64)
    for layer in range(n_layers):
        here = at_layer(embeddings, layer)
        measures = CHEAP | COSTLY if layer in probed else CHEAP
        for row, of in enumerate(measures.values()):
            found[row, layer] = of(here)
    return found
