"""How alike are two languages' spaces as wholes? Rotation-blind, offset-blind, or neighbour-wise.

All take parallel embeddings ``[sentence, d]``, work in float64 and are blind to an offset and a
scale of either language. `procrustes`, `biased_cka` and `mutual_neighbours` are blind to a rotation
as well, `neuron_correlation` is not.
"""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.linalg import vector_norm

from mechsteer.analysis.similarity import check_parallel, exact_unit, without_mean
from mechsteer.errors import MechsteerError


def neuron_correlation(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"], *, absolute: bool = False
) -> float:
    """Average neuron-wise correlation (ANC): the mean over dimensions of Pearson's r.

    ``1/d sum_k corr(x_k, y_k)``, from -1 to 1; a dimension that is constant in either language
    correlates with nothing and counts as 0. `absolute` takes ``|r|``, as a part of the authors'
    code does; its mean over unrelated spaces is then above 0.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_parallel`; also a language whose
            sentences are all alike.

    Source: Del and Fishel 2022 (Cross-lingual Similarity of Multilingual Representations
    Revisited), section 3.
    """
    u, v = _varying(x, y)
    norms = vector_norm(u, dim=0) * vector_norm(v, dim=0)
    r = torch.where(norms > 0, (u * v).sum(0) / norms.where(norms > 0, 1.0), 0.0)
    return float((r.abs() if absolute else r).mean())


def procrustes(x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"]) -> float:
    """Share of one space that a rotation of the other explains; 1 for spaces equal but for one.

    ``||Xc^T Yc||_* / (||Xc||_F ||Yc||_F)``, centred spaces, nuclear norm; from 0 to 1. It grows
    with d / n for unrelated spaces: compare only equal sizes.

    Raises:
        MechsteerError: as `neuron_correlation`.

    Source: the optimum of orthogonal Procrustes, Schönemann 1966.
    """
    u, v = _varying(x, y)
    shared = torch.linalg.svdvals(u.T @ v).sum() if u.shape[1] <= len(u) else _nuclear(u, v)
    return float(shared / (vector_norm(u) * vector_norm(v)))


def biased_cka(x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"]) -> float:
    """Linear CKA as usually computed, which says about ``d / (n + d)`` for unrelated spaces.

    ``||Yc^T Xc||_F^2 / (||Xc^T Xc||_F ||Yc^T Yc||_F)``. Use `mechsteer.analysis.debiased_cka`; this
    is here to compare with numbers published by others.

    Warns:
        UserWarning: fewer than ``19 d`` sentences: a bias above 0.05, which is named.

    Raises:
        MechsteerError: as `neuron_correlation`.

    Source: Kornblith et al. 2019, eq. 5; the bias: Murphy et al. 2024 (arXiv 2405.01012).
    """
    u, v = _varying(x, y)
    n, d = u.shape
    if n < 19 * d:
        message = f"biased CKA of {n} sentences in {d} dimensions: unrelated spaces give about"
        warnings.warn(f"{message} {d / (n + d):.2f}; debiased_cka has no such bias", stacklevel=2)
    return float(_gram_norm(u, v) ** 2 / (_gram_norm(u, u) * _gram_norm(v, v)))


def mutual_neighbours(
    x: Float[Tensor, "sentence d"], y: Float[Tensor, "sentence d"], *, k: int = 10
) -> Float[Tensor, "sentence"]:
    """Share of a sentence's k nearest neighbours that are its translation's neighbours too.

    ``|N_k(x_i) & N_k(y_i)| / k``, neighbours by cosine within one language after taking its mean
    away, the sentence itself left out, equal cosines by ascending index. Chance is ``k / (n - 1)``.

    Raises:
        MechsteerError: as `neuron_correlation`; also k outside 1 to n - 1, or a sentence that
            equals its language's mean.

    Source: Huh et al. 2024 (The Platonic Representation Hypothesis), appendix A.
    """
    u, v = _varying(x, y)
    if not 1 <= k < len(u):
        raise MechsteerError(f"expected k from 1 to {len(u) - 1} neighbours, got {k}")
    return (_near(u, k) & _near(v, k)).sum(1).double() / k


def _varying(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    check_parallel({"x": x, "y": y})
    spaces = without_mean(x), without_mean(y)
    for name, space in zip("xy", spaces, strict=True):
        if not space.any():
            raise MechsteerError(f"{name}: all sentences are alike, their space has no structure")
    return spaces


def _nuclear(u: Tensor, v: Tensor) -> Tensor:
    """Nuclear norm of ``u.T @ v`` for more dimensions than sentences."""
    left, right = torch.linalg.qr(u.T).R, torch.linalg.qr(v.T).R
    norm: Tensor = torch.linalg.svdvals(left @ right.T).sum()
    return norm


def _gram_norm(u: Tensor, v: Tensor) -> Tensor:
    """``||u.T @ v||_F``, through whichever Gram matrices are smaller."""
    wide = u.shape[1] > len(u)
    square: Tensor = ((u @ u.T) * (v @ v.T)).sum() if wide else ((u.T @ v) ** 2).sum()
    return square.clamp(min=0).sqrt()


def _near(x: Float[Tensor, "sentence d"], k: int) -> Bool[Tensor, "sentence sentence"]:
    if not x.any(1).all():
        raise MechsteerError(f"row {int((~x.any(1)).nonzero()[0])} equals its language's mean")
    unit = exact_unit(x)
    cosine = (unit @ unit.T).fill_diagonal_(-torch.inf)
    first = cosine.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return torch.zeros_like(cosine, dtype=torch.bool).scatter_(1, first, value=True)
