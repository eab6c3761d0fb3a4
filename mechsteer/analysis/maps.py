"""Linear maps of a language's space onto another's, and whitening: fitted on dev, used on test.

The strongest that can be done after the model: an intervention that does not beat them has not
aligned more than a matrix would. Embeddings may carry a leading layer axis; every layer has its own
map. Everything is fitted and applied in float64; dtypes are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.similarity import check_embedding, check_languages
from mechsteer.errors import MechsteerError


@dataclass(frozen=True)
class LinearMap:
    """The map ``x -> (x - mean) W + goal``."""

    mean: Float[Tensor, "*layer 1 d"]
    W: Float[Tensor, "*layer d d"]
    goal: Float[Tensor, "*layer 1 d"]

    def __call__(self, x: Float[Tensor, "*layer sentence d"]) -> Float[Tensor, "*layer sentence d"]:
        """Map embeddings.

        Raises:
            MechsteerError: embeddings of other layers or dimensions than the map was fitted on, or
                what `mechsteer.analysis.similarity.check_embedding` refuses.
        """
        check_embedding(x, "embeddings to map")
        if (*x.shape[:-2], x.shape[-1]) != (*self.mean.shape[:-2], self.mean.shape[-1]):
            raise MechsteerError(
                f"the map was fitted on {tuple(self.mean.shape)}, which does not fit embeddings "
                f"{tuple(x.shape)}"
            )
        return ((x.double() - self.mean) @ self.W + self.goal).to(x.dtype)


def map_to(
    dev: LayerEmbeddings,
    *,
    target: str,
    how: Literal["procrustes", "ridge"] = "procrustes",
    ridge: float = 1.0,
) -> dict[str, LinearMap]:
    """For each language the map onto the target's space that fits the parallel sentences of dev.

    ``procrustes`` is the rotation ``argmin ||Xc R - Yc||_F``; ``ridge`` is
    ``argmin ||Xc W - Yc||_F^2 + alpha ||W||_F^2`` with alpha `ridge` times the mean eigenvalue of
    ``Xc^T Xc``, so that it does not depend on the scale. The target maps onto itself unchanged.

    Raises:
        MechsteerError: a target or shape that does not fit, sentences that are all alike, a ridge
            that is not positive, or what `mechsteer.analysis.similarity.check_embedding` refuses.

    Source: Schönemann 1966; for languages Smith et al. 2017 (arXiv 1702.03859).
    """
    if target not in dev:
        raise MechsteerError(f"expected a target among {', '.join(dev)}, got {target!r}")
    if how not in ("procrustes", "ridge") or ridge <= 0:
        raise MechsteerError(
            f"expected how='procrustes' or 'ridge' and ridge > 0, got {how!r} and {ridge}"
        )
    goal, goal_mean = _centred(dev[target], target)
    maps = {}
    for language, x in dev.items():
        moved, mean = _centred(x, language)
        if moved.shape != goal.shape:
            raise MechsteerError(
                f"expected parallel embeddings, got {tuple(x.shape)} for {language} and "
                f"{tuple(goal.shape)} for {target}"
            )
        if language == target:
            W = torch.eye(x.shape[-1], dtype=torch.float64).expand(*x.shape[:-2], -1, -1)
        else:
            W = _rotation(moved, goal) if how == "procrustes" else _ridge(moved, goal, ridge)
        maps[language] = LinearMap(mean, W, goal_mean)
    return maps


def whitening(dev: LayerEmbeddings) -> LinearMap:
    """ZCA whitening of all languages together: covariance to identity, directions kept.

    ``W = V diag(lambda^-1/2) V^T`` over the directions that the sentences span (for fewer sentences
    than dimensions the others become 0); the joint mean becomes 0.

    Raises:
        MechsteerError: sentences that are all alike, or what
            `mechsteer.analysis.similarity.check_languages` refuses.

    Source: Kessy et al. 2018 (ZCA); as a multilingual baseline Hämmerl et al. 2023.
    """
    check_languages(dev)
    moved, mean = _centred(torch.cat([*dev.values()], dim=-2), "all languages")
    spread = moved / moved.shape[-2] ** 0.5
    _, sizes, axes = torch.linalg.svd(spread, full_matrices=False)
    reach = sizes[..., :1] * max(spread.shape[-2:]) * torch.finfo(torch.float64).eps
    weights = torch.where(sizes > reach, 1 / sizes, 0.0)
    W = axes.mT @ (weights[..., None] * axes)
    return LinearMap(mean, W, torch.zeros_like(mean))


def _centred(x: Tensor, name: str) -> tuple[Tensor, Tensor]:
    check_embedding(x, name)
    mean = x.double().mean(-2, keepdim=True)
    moved = x.double() - mean
    alike = moved.abs().amax((-2, -1)) <= 1e-12 * x.double().abs().amax((-2, -1))
    if alike.any():
        raise MechsteerError(f"{name}: all sentences are alike, no map can be fitted")
    return moved, mean


def _rotation(x: Tensor, y: Tensor) -> Float[Tensor, "*layer d d"]:
    left, _, right = torch.linalg.svd(x.mT @ y)
    rotation: Tensor = left @ right
    return rotation


def _ridge(x: Tensor, y: Tensor, ridge: float) -> Float[Tensor, "*layer d d"]:
    gram = x.mT @ x
    d = gram.shape[-1]
    alpha = ridge * gram.diagonal(dim1=-2, dim2=-1).mean(-1)
    damped = gram + alpha[..., None, None] * torch.eye(d).to(gram)
    weights: Tensor = torch.linalg.solve(damped, x.mT @ y)
    return weights
