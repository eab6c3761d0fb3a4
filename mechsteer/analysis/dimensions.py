"""A few massive dimensions: how much of a space they hold, and the space without them.

In many models some dimensions of the residual stream are hundreds of times larger than the others
in every token, so that all cosines are close to 1 and say little. Two baselines that touch no
neuron take that away: the k largest dimensions removed, and every dimension brought to one scale.
Fitted on dev, applied to test; embeddings may carry a leading layer axis, and every layer has its
own dimensions and scales.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.held import at_layer, mapped
from mechsteer.analysis.retrieval import count_top1
from mechsteer.analysis.similarity import check_embedding, check_languages
from mechsteer.errors import MechsteerError

Energy = Float[Tensor, "*layer d"]


def largest_share(x: Float[Tensor, "sentence d"], *, k: int = 3) -> float:
    """Share of the squared norm in the k largest dimensions: k/d where all are alike, at most 1.

    ``sum of the k largest e_j / sum of all e_j`` with ``e_j = sum_i x_ij^2``.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_embedding`; k is not from 1 to d.

    Source: Timkey and van Schijndel 2021 (All Bark and No Bite: Rogue Dimensions in Transformer
    Language Models Obscure Representational Quality); Sun et al. 2024 (Massive Activations).
    """
    check_embedding(x, "x")
    _require_k(k, x.shape[-1], least=1, most=x.shape[-1])
    energy = x.double().square().sum(0)
    return float(energy.topk(k).values.sum() / energy.sum())


def largest_dimensions(dev: LayerEmbeddings) -> Int[Tensor, "*layer d"]:
    """The dimensions of each layer by their mean square over dev, largest first.

    Each language counts alike; of equal dimensions the first comes first.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_languages`.
    """
    order: Tensor = _energy(dev).sort(dim=-1, descending=True, stable=True).indices
    return order


def without_dimensions(
    test: LayerEmbeddings, order: Int[Tensor, "*layer d"], k: int | Int[Tensor, "*layer"]
) -> LayerEmbeddings:
    """Set the first k dimensions of an order to zero, as many or other ones in each layer.

    Args:
        test: embeddings by language; dtype kept.
        order: what `largest_dimensions` gave.
        k: how many, from 0 to d - 1; one number, or one a layer.

    Raises:
        MechsteerError: embeddings of other layers or another width than the order, k out of range,
            or what `mechsteer.analysis.similarity.check_embedding` refuses.
    """
    d = order.shape[-1]
    counts = torch.as_tensor(k).expand(order.shape[:-1])
    for count in set(counts.flatten().tolist()):
        _require_k(count, d, least=0, most=d - 1)
    place = order.argsort(dim=-1)  # of each dimension in the order
    kept = (place >= counts[..., None])[..., None, :]

    def left(language: str, x: Tensor) -> Tensor:
        _require_fit(x, language, order)
        return x * kept

    return mapped(test, left)


def choose_k(dev: LayerEmbeddings, order: Int[Tensor, "layer d"]) -> Int[Tensor, " layer"]:
    """For each layer the k with the best top-1 retrieval between all pairs of dev; 0 is none.

    k grows through 1, 2, 3, 4, 6, 8, 12, 16, … until three steps brought nothing, so that the best
    is no edge of what was tried, or no sentence would be left with a direction. Of equal k the
    smallest.

    Raises:
        MechsteerError: as `without_dimensions`; sentences that are not parallel.
    """
    return torch.tensor(
        [_best_k(at_layer(dev, layer), order[layer]) for layer in range(len(order))]
    )


@dataclass(frozen=True)
class Standardisation:
    """The map ``x -> (x - mean) / deviation``, dimension by dimension."""

    mean: Float[Tensor, "*layer 1 d"]
    deviation: Float[Tensor, "*layer 1 d"]

    def __call__(self, test: LayerEmbeddings) -> LayerEmbeddings:
        """Standardise; a dimension without deviation on dev becomes 0, and dtypes are kept.

        Raises:
            MechsteerError: embeddings of other layers or another width than it was fitted on.
        """
        weight = torch.where(self.deviation > 0, 1 / self.deviation, 0.0)

        def standardised(language: str, x: Tensor) -> Tensor:
            _require_fit(x, language, self.mean[..., 0, :])
            return ((x.double() - self.mean) * weight).to(x.dtype)

        return mapped(test, standardised)


def standardisation(dev: LayerEmbeddings) -> Standardisation:
    """Mean and standard deviation of every dimension, over all languages of dev alike.

    The mean is one for all languages, so that a language's own offset stays; the deviation is that
    of the whole (ddof 0). Deviations below 1e-6 of the root mean square are rounding and count as
    0.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_languages`.

    Source: Timkey and van Schijndel 2021, section 5 (standardisation).
    """
    check_languages(dev)
    mean = torch.stack([x.double().mean(-2, keepdim=True) for x in dev.values()]).mean(0)
    spread = [(x.double() - mean).square().mean(-2, keepdim=True) for x in dev.values()]
    deviation = torch.stack(spread).mean(0).sqrt()
    noise = 1e-6 * (mean.square() + deviation.square()).sqrt()
    return Standardisation(mean, torch.where(deviation > noise, deviation, 0.0))


def _best_k(dev: LayerEmbeddings, order: Int[Tensor, " d"]) -> int:
    best, most, since = 0, -1, 0
    for k in _grid(len(order)):
        left = without_dimensions(dev, order, k)
        if not all(bool(x.any(-1).all()) for x in left.values()):
            break
        hits = count_top1(left)
        best, most, since = (k, hits, 0) if hits > most else (best, most, since + 1)
        if since == 3:
            break
    return best


def _grid(d: int) -> Iterator[int]:
    """0, 1, 2, 3, 4, 6, 8, 12, … below d."""
    steps = (0, 1, *(k for power in range(1, 32) for k in (2**power, 3 * 2 ** (power - 1))))
    yield from (k for k in steps if k < d)


def _energy(dev: LayerEmbeddings) -> Energy:
    """Mean square of every dimension, each language alike, in float64."""
    check_languages(dev)
    return torch.stack([x.double().square().mean(-2) for x in dev.values()]).mean(0)


def _require_k(k: int, d: int, *, least: int, most: int) -> None:
    if not least <= k <= most:
        raise MechsteerError(f"expected k from {least} to {most} of {d} dimensions, got {k}")


def _require_fit(x: Tensor, language: str, fitted: Tensor) -> None:
    check_embedding(x, language)
    if (*x.shape[:-2], x.shape[-1]) != tuple(fitted.shape):
        raise MechsteerError(
            f"{language}: the dimensions were fitted on {tuple(fitted.shape)}, "
            f"which does not fit embeddings {tuple(x.shape)}"
        )
