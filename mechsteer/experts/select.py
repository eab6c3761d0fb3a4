"""Which neurons to move: selections beside the plain top k, and sets of them.

Every selection gives ``Experts`` in rank order, with their statistics. The top k of all neurons is
``NeuronScores.top``, flat numbers are ``NeuronScores.take``, controls are ``random_like`` and
``null_like``; LAPE, which needs how neurons fire, is in ``mechsteer.experts.lape``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import torch

from mechsteer.errors import MechsteerError
from mechsteer.experts.among import whom
from mechsteer.experts.moments import joined
from mechsteer.experts.scores import PER_EXPERT, Experts, NeuronScores, resolve_k
from mechsteer.options.ranking import Criterion, Within


def per_layer(
    scores: NeuronScores, language: str, k: float, *, by: Criterion = "ap", within: Within = "all"
) -> Experts:
    """The k best neurons of every layer, of either stack, all in one rank order.

    Args:
        scores: of every neuron.
        language: canonical code.
        k: a number of neurons in each layer, or a fraction (below 1) of each layer.
        by: ``"ap"`` or ``"auroc"``.
        within: told from ``"all"`` other languages, or from those of its own ``"script"``.

    ``tied_at_cut`` adds up, over layers, the neurons that share the score at their layer's cut.

    Raises:
        MechsteerError: unknown language or criterion, or a layer with fewer than k neurons.
    """
    ranking, score = _ranked(scores, language, by, within)
    points = scores.site.points
    layers = list(dict.fromkeys(point.layer_name for point in points))
    numbers = [layers.index(point.layer_name) for point in points]
    layer = np.repeat(numbers, [point.width for point in points])[ranking]
    kept, tied = np.zeros(len(ranking), bool), 0
    for number in np.unique(layer):
        here = np.flatnonzero(layer == number)
        chosen = here[: resolve_k(k, len(here))]
        kept[chosen] = True
        if len(chosen):
            tied += int((score[ranking[here]] == score[ranking[chosen[-1]]]).sum())
    selection = f"top {k} of each layer by {by}{whom(language, within)}"
    return scores.take(language, ranking[kept].tolist(), selection=selection, tied=tied)


def threshold(
    scores: NeuronScores,
    language: str,
    least: float,
    *,
    by: Criterion = "ap",
    within: Within = "all",
) -> Experts:
    """All neurons that score at least ``least``; no tie is ever cut.

    AurA (Suau et al. 2024) moves ``threshold(scores, language, 0.5, by="auroc")``.

    Raises:
        MechsteerError: unknown language or criterion, or a threshold that is not a number.
    """
    if math.isnan(least):
        raise MechsteerError("expected a number as the threshold, got NaN")
    ranking, score = _ranked(scores, language, by, within)
    kept = ranking[score[ranking].astype(np.float64) >= least]
    selection = f"{by} of at least {least:g}{whom(language, within)}"
    return scores.take(language, kept.tolist(), selection=selection)


def top_and_bottom(
    scores: NeuronScores, language: str, k: float, *, by: Criterion = "ap", within: Within = "all"
) -> Experts:
    """The k best and the k worst detectors of a language: 2k neurons, best first, worst last.

    Neurons that are silent in a language and busy elsewhere score lowest, and matter as well. k is
    a number or a fraction of all neurons. ``tied_at_cut`` adds up both cuts.

    Source: Kojima et al. 2024 (2404.02431), who take the top 1000 and the bottom 1000 by AP.

    Raises:
        MechsteerError: unknown language or criterion, or fewer than 2k neurons.
    """
    count = scores.resolve_k(k)
    if 2 * count > scores.site.n_neurons:
        raise MechsteerError(f"expected k up to {scores.site.n_neurons // 2}, got {count} each end")
    ranking, score = _ranked(scores, language, by, within)
    top, bottom = ranking[:count], ranking[len(ranking) - count :]
    index = np.concatenate([top, bottom]).tolist()
    cuts = (top[-1], bottom[0]) if count else ()
    tied = sum(int((score == score[cut]).sum()) for cut in cuts)
    selection = f"top and bottom {count} by {by}{whom(language, within)}"
    return scores.take(language, index, selection=selection, tied=tied)


def listed(
    scores: NeuronScores,
    language: str,
    places: Iterable[tuple[int, int]],
    *,
    component: str = "post",
) -> Experts:
    """An explicit list of neurons as (layer, neuron) pairs of one component, in its order.

    Raises:
        MechsteerError: a pair names no neuron, or one twice.
    """
    points = zip(scores.site.points, scores.site.offsets, strict=True)
    known = {p.layer: (p.width, offset) for p, offset in points if p.component == component}
    index = []
    for layer, neuron in places:
        width, offset = known.get(layer, (0, 0))
        if not 0 <= neuron < width:
            raise MechsteerError(
                f"site {scores.site.name!r} has no {component} neuron {neuron} in layer {layer}"
            )
        index.append(offset + neuron)
    return scores.take(language, index)


def union(first: Experts, *others: Experts) -> Experts:
    """Neurons in any of the sets: the first's, then the others' new ones, in their rank order.

    Each keeps the statistics of the set it comes from, so where languages meet, a clamp holds it at
    the value of that language; ``language`` then names them all, joined by ``+``.

    Raises:
        MechsteerError: sets of different sites or poolings.
    """
    everyone = (first, *others)
    _require_comparable(everyone)
    index = torch.cat([one.index for one in everyone]).numpy()
    kept = np.sort(np.unique(index, return_index=True)[1])
    columns = {
        name: torch.cat([getattr(one, name) for one in everyone])[kept]
        for name in ("index", *PER_EXPERT)
    }
    aps = [one.script_ap for one in everyone if one.script_ap is not None]
    script_ap = torch.cat(aps)[kept] if len(aps) == len(everyone) else None
    return Experts(
        script_ap=script_ap,
        language="+".join(dict.fromkeys(one.language for one in everyone)),
        site=first.site,
        pooling=first.pooling,
        selection=" ∪ ".join(one.selection for one in everyone),
        tied_at_cut=0,
        model=first.model,
        beside=joined([one.beside for one in everyone], torch.from_numpy(kept)),
        **columns,
    )


def intersection(first: Experts, *others: Experts) -> Experts:
    """Neurons in all of the sets, as the first has them: its language, its order, its statistics.

    Raises:
        MechsteerError: sets of different sites.
    """
    return _filtered(first, others, "∩", everywhere=True)


def difference(first: Experts, *others: Experts) -> Experts:
    """Neurons of the first set in none of the others, as the first has them.

    Raises:
        MechsteerError: sets of different sites.
    """
    return _filtered(first, others, "∖", everywhere=False)


def jaccard(a: Experts, b: Experts) -> float:
    """Overlap of two sets of neurons: ``|A ∩ B| / |A ∪ B|``; NaN where both are empty.

    Raises:
        MechsteerError: sets of different sites.
    """
    _require_comparable((a, b), poolings=False)
    one, two = set(a.index.tolist()), set(b.index.tolist())
    return len(one & two) / len(one | two) if one | two else math.nan


def overlap_table(experts: Mapping[str, Experts]) -> pd.DataFrame:
    """Jaccard overlap of every two sets, by their names: usually the experts of each language.

    Raises:
        MechsteerError: sets of different sites.
    """
    values = [[jaccard(a, b) for b in experts.values()] for a in experts.values()]
    return pd.DataFrame(values, index=list(experts), columns=list(experts))


def _ranked(
    scores: NeuronScores, language: str, by: Criterion, within: Within
) -> tuple[np.ndarray, np.ndarray]:
    """All neurons, best first, and the score of each neuron."""
    judged = scores.among(language, within)
    return judged.ranking(language, by), getattr(judged, by)[judged.row(language)].numpy()


def _filtered(
    first: Experts, others: tuple[Experts, ...], sign: str, *, everywhere: bool
) -> Experts:
    _require_comparable((first, *others), poolings=False)
    inside = [np.isin(first.index.numpy(), other.index.numpy()) == everywhere for other in others]
    kept = np.logical_and.reduce(inside) if others else np.ones(len(first), bool)
    names = [one.selection for one in (first, *others)]
    return first.pick(np.flatnonzero(kept).tolist(), selection=f" {sign} ".join(names))


def _require_comparable(experts: tuple[Experts, ...], *, poolings: bool = True) -> None:
    first = experts[0]
    if any(one.site != first.site for one in experts):
        raise MechsteerError("expected neurons of one site of one model")
    if poolings and len({one.pooling for one in experts}) > 1:
        raise MechsteerError("expected one pooling: the statistics of the sets do not compare")
