"""Does a sentence find its translation? Cosine, margin and CSLS retrieval over parallel text.

Queries and candidates always come through the same model state; chance is 1 in the number of
sentences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from mechsteer.analysis.alignment import mexa_rule
from mechsteer.analysis.margins import Pair, gold_margins
from mechsteer.analysis.similarity import Embeddings, check_parallel, direction_pairs, directions
from mechsteer.errors import MechsteerError
from mechsteer.kernels import TIE, LocalScaling, mean_of_nearest

NEIGHBOURHOOD = 4
"""Neighbours that make the denominator of a margin score."""

Rescore = Callable[[Float[Tensor, "source target"]], Float[Tensor, "source target"]]


@dataclass(frozen=True)
class PairHits:
    """Per-sentence hits of all ordered language pairs.

    Attributes:
        languages: Order of both language axes.
        top1: `top1_hits` with queries in `source` and candidates in `target`. A language against
            itself is no retrieval: the diagonal is False and not among the `pairs`.
        margin: the same by ratio margin (k = 4), or by difference margin for a pair with a
            denominator that is not positive, as after centring.
        mexa: `mechsteer.analysis.alignment.mexa_hits`, the same in both directions.
    """

    languages: tuple[str, ...]
    top1: Bool[Tensor, "source target sentence"]
    margin: Bool[Tensor, "source target sentence"]
    mexa: Bool[Tensor, "source target sentence"]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Ordered pairs of different languages, source-major."""
        return tuple(permutations(self.languages, 2))


def by_pair(values: Shaped[Tensor, "source target sentence"]) -> Shaped[Tensor, "sentence pair"]:
    """One column for each of `PairHits.pairs`, as the statistics take them.

    >>> by_pair(torch.arange(8).reshape(2, 2, 2))
    tensor([[2, 4],
            [3, 5]])
    """
    different = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
    return values[different].T


def retrieval(embeddings: Embeddings) -> PairHits:
    """Top-1, margin and MEXA hits of every pair of languages, both ways, from one product each.

    Takes ``L(L-1)/2`` products of ``[sentence, d]``, one similarity matrix alive at a time, and
    embeddings that lie on a disk (`mechsteer.analysis.held`) tile by tile. Fewer than five
    sentences have no margin: its k shrinks to their number.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.
    """
    languages = tuple(embeddings)
    check_parallel(embeddings)
    n = len(embeddings[languages[0]])
    top1 = torch.zeros(len(languages), len(languages), n, dtype=torch.bool)
    margin, mexa = torch.zeros_like(top1), torch.zeros_like(top1)
    for s, t, one, other in direction_pairs(embeddings):
        pair = Pair(one, other)
        top1[s, t], top1[t, s] = (cosines := pair.cosine_margins().cpu()) > TIE
        mexa[s, t] = mexa[t, s] = mexa_rule(cosines)
        margin[s, t], margin[t, s] = pair.scaled_margins(min(NEIGHBOURHOOD, n)).cpu() > TIE
    return PairHits(languages, top1, margin, mexa)


def count_top1(embeddings: Embeddings) -> int:
    """How many sentences find their translation, over all ordered pairs: `retrieval`'s top-1 alone.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    >>> x = torch.eye(3)
    >>> count_top1({"fra_Latn": x, "deu_Latn": x[[0, 2, 1]]})
    2
    """
    return sum(
        int((Pair(one, other).cosine_margins() > TIE).sum())
        for _, _, one, other in direction_pairs(embeddings)
    )


def top1_hits(
    x: Float[Tensor, "sentence d"],
    y: Float[Tensor, "sentence d"],
    *,
    rescore: Rescore | None = None,
) -> Bool[Tensor, "2 sentence"]:
    """Whether each sentence's nearest neighbour in the other language is its translation.

    ``hit_i = cos(x_i, y_i) > max_{j != i} cos(x_i, y_j) + 1e-6``: row 0 for queries in x, row 1
    for queries in y. Ties within 1e-6, duplicates among them, are misses. Decided in float64
    wherever float32 rounding could matter, so the hits do not depend on the machine's product.

    Args:
        x: Embeddings of one language; any length, cosine normalises.
        y: Embeddings of the same sentences in another.
        rescore: Turns the float64 cosines into other scores before the neighbour is taken:
            `ratio_margin`, `difference_margin`, `csls`.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    >>> x = torch.eye(3)
    >>> top1_hits(x, x[[0, 2, 1]])
    tensor([[ True, False, False],
            [ True, False, False]])
    """
    units = directions({"x": x, "y": y})
    if rescore is None:
        return Pair(*units).cosine_margins() > TIE
    return gold_margins(rescore(units[0].exact @ units[1].exact.T)) > TIE


def ratio_margin(cosine: Float[Tensor, "source target"], *, k: int = NEIGHBOURHOOD) -> Tensor:
    """Cosine over the mean cosine of both sentences' k nearest neighbours.

    ``cos(x, y) / (sum_{z in NN_k(x)} cos(x, z) / 2k + sum_{z in NN_k(y)} cos(y, z) / 2k)``.

    Raises:
        MechsteerError: NaN, k beyond the sentences, or a denominator that is not positive, as
            happens after centring: use `difference_margin`.

    Source: Artetxe and Schwenk 2019 (Margin-based Parallel Corpus Mining), section 3.1.
    """
    scaling = _scaling(cosine, k, ratio=True)
    if scaling.level().amin() <= 0:
        raise MechsteerError(
            "ratio margin: neighbourhoods with a mean cosine <= 0 have no ratio; "
            "use difference_margin"
        )
    return scaling(cosine)


def difference_margin(cosine: Float[Tensor, "source target"], *, k: int = NEIGHBOURHOOD) -> Tensor:
    """Cosine minus the mean cosine of both sentences' k nearest neighbours.

    Raises:
        MechsteerError: NaN, or k beyond the sentences.

    Source: Artetxe and Schwenk 2019, section 3.1 ("distance").
    """
    return _scaling(cosine, k, ratio=False)(cosine)


def csls(cosine: Float[Tensor, "source target"], *, k: int = 10) -> Tensor:
    """Cross-domain similarity local scaling: ``2 cos(x, y) - r(x) - r(y)``.

    r is the mean cosine to the k nearest neighbours, hence twice the difference margin.

    Raises:
        MechsteerError: NaN, or k beyond the sentences.

    Source: Conneau et al. 2018 (Word Translation Without Parallel Data), section 2.3.
    """
    return 2 * difference_margin(cosine, k=k)


def _scaling(cosine: Float[Tensor, "source target"], k: int, *, ratio: bool) -> LocalScaling:
    if not 1 <= k <= min(cosine.shape):
        raise MechsteerError(f"expected k from 1 to {min(cosine.shape)} sentences, got {k}")
    if not cosine.isfinite().all():
        raise MechsteerError("expected finite cosines, got NaN or infinity")
    return LocalScaling(ratio, *mean_of_nearest(cosine, k))
