"""What needs no edit: baselines fitted on dev, applied to the untouched model's test embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from mechsteer.analysis import (
    by_pair,
    centre,
    language_means,
    largest_dimensions,
    lir_basis,
    lsar_basis,
    map_to,
    remove,
    retrieval,
    shift_to,
    standardisation,
    whitening,
    without_dimensions,
)
from mechsteer.analysis.retrieval import PairHits
from mechsteer.analysis.similarity import Embeddings
from mechsteer.analysis.statistics import bootstrap_difference, bootstrap_mean
from mechsteer.progress import progress

Apply = Callable[[Embeddings], Embeddings]
Fit = Callable[[Embeddings, str, float], Apply]


@dataclass(frozen=True)
class Baseline:
    """``fit(dev, target, size)`` gives what is applied to test; the size is chosen on dev."""

    name: str
    fit: Fit
    by_target: bool = False
    sizes: tuple[float, ...] = (0,)


def _mapped(maps: Mapping[str, Callable[[Tensor], Tensor]], test: Embeddings) -> Embeddings:
    return {language: maps[language](x) for language, x in test.items()}


def _whitened(dev: Embeddings) -> Apply:
    return partial(_mapped, dict.fromkeys(dev, whitening(dev)))


BASELINES = (
    Baseline("none", lambda dev, target, size: lambda test: test),
    Baseline("centring", lambda dev, target, size: partial(centre, means=language_means(dev))),
    Baseline(
        "mean shift to the target",
        lambda dev, target, size: partial(shift_to, means=language_means(dev), target=target),
        by_target=True,
    ),
    Baseline(
        "LIR",
        lambda dev, target, size: partial(remove, basis=lir_basis(dev, int(size))),
        sizes=(1, 2, 4, 8),
    ),
    Baseline(
        "LSAR",
        lambda dev, target, size: partial(remove, basis=lsar_basis(dev, int(size))),
        sizes=(1, 2, 4, 8),
    ),
    Baseline(
        "largest dimensions removed",
        lambda dev, target, size: partial(
            without_dimensions, order=largest_dimensions(dev), k=int(size)
        ),
        sizes=(0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128),
    ),
    Baseline("standardisation", lambda dev, target, size: standardisation(dev)),
    Baseline("whitening", lambda dev, target, size: _whitened(dev)),
    Baseline(
        "Procrustes map",
        lambda dev, target, size: partial(_mapped, map_to(dev, target=target)),
        by_target=True,
    ),
    Baseline(
        "ridge map",
        lambda dev, target, size: partial(
            _mapped, map_to(dev, target=target, how="ridge", ridge=size)
        ),
        by_target=True,
        sizes=(0.01, 0.1, 1, 10),
    ),
)


def compare(
    dev: Mapping[str, Tensor],
    test: Mapping[str, Tensor],
    *,
    targets: Sequence[str],
    layers: Mapping[str, int],
    tune: Sequence[int],
) -> pd.DataFrame:
    """Every baseline at every named layer: retrieval over all pairs, and of each target's queries.

    Args:
        dev: layer embeddings that baselines are fitted on.
        test: layer embeddings that they are applied to.
        targets: of those that move every language to one.
        layers: rows of the residual stream, by name.
        tune: rows of dev on which sizes (ranks, ridges) are chosen, fitted on the others.

    Returns:
        Columns edit, size, language, place, pairs, metric, value, ci_low, ci_high, delta,
        delta_low, delta_high (paired, against none), n.
    """
    rows: list[dict[str, Any]] = []
    for place, layer in layers.items():
        fitted, asked = (_at(x, layer) for x in (dev, test))
        base = retrieval(asked)
        for baseline in progress(BASELINES, f"baselines, {place}", "baseline"):
            for target in targets if baseline.by_target else [""]:
                size = _size(baseline, fitted, target, tune)
                hits = retrieval(baseline.fit(fitted, target, size)(asked))
                head = {"edit": baseline.name, "size": size, "place": place}
                rows += [head | row for row in _rows(hits, base, [target] if target else targets)]
    return pd.DataFrame(rows)


def _size(baseline: Baseline, dev: Embeddings, target: str, tune: Sequence[int]) -> float:
    """The size with the best top-1 on the rows it was not fitted on; the smallest of equals."""
    most = {"LSAR": len(dev), "largest dimensions removed": next(iter(dev.values())).shape[-1]}
    sizes = [size for size in baseline.sizes if size < most.get(baseline.name, size + 1)]
    if len(sizes) == 1:
        return sizes[0]
    held = torch.zeros(len(next(iter(dev.values()))), dtype=torch.bool)
    held[list(tune)] = True
    rest, own = ({c: x[rows] for c, x in dev.items()} for rows in (~held, held))

    def hits(size: float) -> float:
        return float(by_pair(retrieval(baseline.fit(rest, target, size)(own)).top1).double().mean())

    return max(sizes, key=hits)


def _rows(hits: PairHits, base: PairHits, targets: Sequence[str]) -> Iterator[dict[str, Any]]:
    for metric in ("top1", "margin", "mexa"):
        after, before = (by_pair(getattr(found, metric)) for found in (hits, base))
        yield {"language": "", "pairs": "all", "metric": metric} | _effect(after, before)
        for target in targets:
            asks = torch.tensor([source == target for source, _ in hits.pairs])
            head = {"language": target, "pairs": "query", "metric": metric}
            yield head | _effect(after[:, asks], before[:, asks])


def _effect(after: Tensor, before: Tensor) -> dict[str, Any]:
    mean, change = bootstrap_mean(after), bootstrap_difference(after, before)
    return {
        "value": mean.mean,
        "ci_low": mean.mean_low,
        "ci_high": mean.mean_high,
        "delta": change.mean,
        "delta_low": change.mean_low,
        "delta_high": change.mean_high,
        "n": len(after),
    }


def _at(embeddings: Mapping[str, Tensor], layer: int) -> Embeddings:
    return {language: x[layer] for language, x in embeddings.items()}
