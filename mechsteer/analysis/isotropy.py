"""How evenly does a space use its dimensions? One language's, or all of them together."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from mechsteer.analysis.similarity import check_embedding, exact_unit, without_mean
from mechsteer.errors import MechsteerError


def mean_cosine(x: Float[Tensor, "sentence d"]) -> float:
    """Mean cosine of two different sentences, over all pairs; 0 in an isotropic space.

    ``(||sum_i u_i||^2 - n) / (n (n - 1))``. An offset raises it: that is what it measures.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_embedding`.

    Source: Ethayarajh 2019, section 3.2.
    """
    check_embedding(x, "x")
    unit = exact_unit(x)
    n = len(unit)
    return float((vector_norm(unit.sum(0)) ** 2 - n) / (n * (n - 1)))


def participation_ratio(x: Float[Tensor, "sentence d"]) -> float:
    """Number of dimensions in use: ``(sum lambda)^2 / sum lambda^2`` of the covariance, 1 to d.

    Raises:
        MechsteerError: see `mechsteer.analysis.similarity.check_embedding`; also sentences that
            are all alike.
    """
    spectrum = _spectrum(x)
    return float(spectrum.sum() ** 2 / (spectrum**2).sum())


def iso_score(x: Float[Tensor, "sentence d"]) -> float:
    """IsoScore: 0 where one dimension holds all variance, 1 where all hold the same.

    With the covariance's eigenvalues scaled to norm ``sqrt(d)``, ``delta`` their distance from
    ones over ``sqrt(2 (d - sqrt(d)))`` and ``phi = (d - delta^2 (d - sqrt(d)))^2 / d^2``:
    ``(d phi - 1) / (d - 1)``. Fewer sentences than dimensions cannot fill the space.

    Raises:
        MechsteerError: as `participation_ratio`; also fewer than two dimensions.

    Source: Rudman et al. 2022 (IsoScore), section 3; eigenvalues for its reorientation, as in
    IsoScore* (Rudman and Eickhoff 2024) without the shrinkage.
    """
    d = x.shape[-1]
    if d < 2:
        raise MechsteerError(f"IsoScore: expected two dimensions or more, got {d}")
    spectrum = _spectrum(x)
    scaled = d**0.5 * spectrum / vector_norm(spectrum)
    defect = vector_norm(scaled - 1) ** 2 / (2 * (d - d**0.5))
    phi = (d - defect * (d - d**0.5)) ** 2 / d**2
    return float((d * phi - 1) / (d - 1))


def _spectrum(x: Float[Tensor, "sentence d"]) -> Float[Tensor, "d"]:
    """Eigenvalues of the covariance, zeros included, up to a factor."""
    check_embedding(x, "x")
    moved = without_mean(x)
    if not moved.any():
        raise MechsteerError("all sentences are alike: their space has no dimensions")
    values = torch.linalg.svdvals(moved) ** 2
    return torch.nn.functional.pad(values, (0, x.shape[-1] - len(values)))
