"""How close are translations? Measures that survive a constant offset, and the paper's that do not.

Offset-robust: `translation_margin` and `debiased_cka` by construction, `mexa_hits` by comparing
within one pair of languages. The paper's distances (`pair_distances`, `mean_distances`) stand
beside them: a constant vector added to every embedding shrinks all three and aligns nothing.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.linalg import vector_norm

from mechsteer.analysis.margins import Pair
from mechsteer.analysis.similarity import (
    Embeddings,
    check_parallel,
    direction_pairs,
    directions,
    exact_unit,
    without_mean,
)
from mechsteer.errors import MechsteerError

# The published rule is a strict inequality. Float64 cosines carry about 1e-15 of rounding, which
# must not part the equal cosines of duplicates.
_EQUAL = 1e-12

# Rounding, not signal: the mean of float32 rows that were centred on themselves, relative to the
# rows' own norm.
_ROUNDING_OF_A_MEAN = 1e-6


def mexa_hits(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"]
) -> Bool[Tensor, "sentence"]:
    """Whether a translation pair beats every rival in its row and in its column; the mean is MEXA.

    ``hit_i = c_ii > max_{j != i} max(c_ij, c_ji)`` with ``c_ij = cos(x_i, y_j)``, strictly:
    duplicates are misses. Unlike top-1 retrieval there is no tolerance for near ties.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    Source: Kargaran et al. 2025 (MEXA, arXiv 2410.05873); the rule of their compute_mexa.py.
    """
    return mexa_rule(Pair(*directions({"x": x, "y": y})).cosine_margins())


def mexa_rule(margins: Float[Tensor, "2 sentence"]) -> Bool[Tensor, "sentence"]:
    """`mexa_hits` from margins of cosines that are there already."""
    return (margins > _EQUAL).all(0)


def translation_margin(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"], *, centred: bool = True
) -> Float[Tensor, "sentence"]:
    """Cosine of each translation minus the mean cosine of its sentence with non-translations.

    ``m_i = cos(x_i, y_i) - mean_{j != i} (cos(x_i, y_j) + cos(x_j, y_i)) / 2``, with each
    language's mean taken away first (`centred`, the default), which makes it blind to an offset of
    either language. From -2 to 2, 0 on average for unrelated spaces. Float64, O(sentences d): sums
    of unit vectors stand for the pairs.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`; also a sentence that
            equals its language's mean.
    """
    check_parallel({"x": x, "y": y})
    u, v = (_centred_unit(x, "x"), _centred_unit(y, "y")) if centred else map(exact_unit, (x, y))
    gold = (u * v).sum(1)
    rivals = u @ v.sum(0) + v @ u.sum(0) - 2 * gold
    return gold - rivals / (2 * (len(u) - 1))


def translation_auroc(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"], *, centred: bool = True
) -> float:
    """Chance that a translation's cosine exceeds that of a non-translation; ties count one half.

    All n translations against all ``n (n - 1)`` other pairs; 0.5 for unrelated spaces. With each
    language's mean taken away first (`centred`, the default) it is blind to an offset of either.
    Float64; memory for two n x n matrices.

    Raises:
        MechsteerError: as `translation_margin`.
    """
    check_parallel({"x": x, "y": y})
    u, v = (_centred_unit(x, "x"), _centred_unit(y, "y")) if centred else map(exact_unit, (x, y))
    cosine = u @ v.T
    n = len(cosine)
    gold = cosine.diagonal().clone()
    rivals = cosine[~torch.eye(n, dtype=torch.bool, device=cosine.device)].sort().values
    below = torch.searchsorted(rivals, gold) + torch.searchsorted(rivals, gold, right=True)
    return float(below.double().mean() / (2 * len(rivals)))


def debiased_cka(x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"]) -> float:
    """Debiased linear centred kernel alignment of two languages' spaces.

    ``HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`` with ``K = X X^T``, ``L = Y Y^T`` and the unbiased
    ``HSIC(K, L) = sum_ij K~_ij L~_ij / (n (n - 3))`` of U-centred kernels. 1 for spaces equal up to
    rotation, scale and offset; 0 on average, and below it half the time, for unrelated ones, where
    the biased form says about d / (n + d).

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`; also fewer than four
            sentences, or a space without variation (denominator <= 0).

    Source: Song et al. 2012 (JMLR 13), eq. 5; U-centring: Szekely and Rizzo 2014, Annals of
    Statistics 42, section 2; debiased CKA: Murphy et al. 2024 (arXiv 2405.01012).
    """
    check_parallel({"x": x, "y": y})
    if len(x) < 4:
        raise MechsteerError(f"debiased CKA: expected four sentences or more, got {len(x)}")
    return float((_unit_kernel(x) * _unit_kernel(y)).sum())


def cka_matrix(embeddings: Embeddings) -> Float[Tensor, "source target"]:
    """`debiased_cka` of every two languages, from one kernel a language; 1 on the diagonal.

    Memory for one float64 matrix [sentence, sentence] a language.

    Raises:
        MechsteerError: as `debiased_cka`.
    """
    check_parallel(embeddings)
    if (n := len(next(iter(embeddings.values())))) < 4:
        raise MechsteerError(f"debiased CKA: expected four sentences or more, got {n}")
    kernels = torch.stack([_unit_kernel(x).flatten() for x in embeddings.values()])
    cka: Tensor = kernels @ kernels.T
    return cka.fill_diagonal_(1)


def pair_distances(embeddings: Embeddings) -> Float[Tensor, "source target sentence"]:
    """``1 - cos`` of every sentence with its translation in every language; float32.

    Its mean over the pairs of different languages and the sentences is the paper's "distance among
    all languages" in our reading (the paper leaves open whether it averages over sentences or over
    language means). Any constant offset shrinks it: it is no evidence of alignment by itself.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`.

    Source: Sundar et al. 2025 (arXiv 2502.15639), section 4 and Table 1.
    """
    check_parallel(embeddings)
    first = next(iter(embeddings.values()))
    size = len(embeddings)
    distances = first.new_zeros(size, size, len(first), dtype=torch.float32)
    for s, t, one, other in direction_pairs(embeddings):
        distances[s, t] = distances[t, s] = 1 - (one.unit * other.unit).sum(1)
    return distances


def mean_distances(embeddings: Embeddings) -> Float[Tensor, "source target"]:
    """``1 - cos`` between the mean embeddings of every two languages; float64.

    Row `medoid(distances)` is the paper's distance to the medoid of the space, the row of a target
    language its distance to the target, both in our reading (the paper defines neither further).
    Any constant offset shrinks them: they are no evidence of alignment by themselves.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`; also a language whose
            mean vanishes because its embeddings are centred on these very sentences.

    Source: Sundar et al. 2025 (arXiv 2502.15639), section 4 and Table 1.
    """
    check_parallel(embeddings)
    means = torch.stack([x.double().mean(0) for x in embeddings.values()])
    size = torch.stack([vector_norm(x, dim=1).double().mean() for x in embeddings.values()])
    for language, vanished in zip(
        embeddings, vector_norm(means, dim=1) <= _ROUNDING_OF_A_MEAN * size, strict=True
    ):
        if vanished:
            raise MechsteerError(f"{language}: the mean embedding is zero and has no direction")
    unit = exact_unit(means)
    return (1 - unit @ unit.T).fill_diagonal_(0)


def medoid(distances: Float[Tensor, "source target"]) -> int:
    """Index of the language with the least summed distance to the others; the first of equals.

    Raises:
        MechsteerError: distances that are not square, or NaN or infinity among them.

    >>> medoid(torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]))
    1
    """
    square = distances.ndim == 2 and len(distances) == distances.shape[1] > 0
    if not square or not distances.isfinite().all():
        raise MechsteerError(
            "expected finite distances between one language or more [source, target], got "
            f"{tuple(distances.shape)}, {int((~distances.isfinite()).sum())} of them not finite"
        )
    return int(distances.sum(1).argmin())


def _centred_unit(x: Float[Tensor, "sentence d"], name: str) -> Float[Tensor, "sentence d"]:
    moved = without_mean(x)
    lost = (~moved.any(1)).nonzero()
    if len(lost):
        raise MechsteerError(
            f"{name}: row {int(lost[0])} equals its language's mean; pass centred=False"
        )
    return exact_unit(moved)


def _unit_kernel(x: Float[Tensor, "sentence d"]) -> Float[Tensor, "sentence sentence"]:
    kernel = _u_centred_kernel(x)
    size = vector_norm(kernel)
    if size <= 0:
        raise MechsteerError("debiased CKA: a space whose sentences are all alike has none")
    unit: Tensor = kernel / size
    return unit


def _u_centred_kernel(x: Float[Tensor, "sentence d"]) -> Float[Tensor, "sentence sentence"]:
    """Linear kernel without diagonal whose rows and columns sum to zero."""
    moved = without_mean(x)
    kernel = (moved @ moved.T).fill_diagonal_(0)
    n = len(kernel)
    row = kernel.sum(1) / (n - 2)
    return (kernel - row - row[:, None] + row.sum() / (n - 1)).fill_diagonal_(0)
