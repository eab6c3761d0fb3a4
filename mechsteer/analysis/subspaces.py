"""What else needs no neurons: removing the directions in which languages differ.

Fitted on dev, applied to test. Embeddings may carry a leading layer axis; every layer has its own
directions, in float64 and orthonormal. LIR takes from each language its own main directions, the
language's mean among them; LSAR takes from all languages those in which their means differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings, language_means
from mechsteer.analysis.similarity import check_embedding, check_languages
from mechsteer.errors import MechsteerError

Basis = Float[Tensor, "*layer d rank"]


def lir_basis(dev: LayerEmbeddings, rank: int) -> dict[str, Basis]:
    """Each language's own main directions: left singular vectors of its embeddings, not centred.

    Raises:
        MechsteerError: fewer directions than ``rank`` in a language, or what
            `mechsteer.analysis.similarity.check_languages` refuses.

    Source: Yang et al. 2021 (A Simple and Effective Method To Eliminate the Self Language Bias in
    Multilingual Representations), equation 1: ``X_l = U S V'``, ``x <- x - U_r U_r' x``.
    """
    check_languages(dev)
    return {language: _main(x.double().mT, rank, language) for language, x in dev.items()}


def lsar_basis(dev: LayerEmbeddings, rank: int) -> Basis:
    """The directions in which language means differ most, one subspace for all languages.

    Left singular vectors of the matrix ``[d, language]`` of means, less their common mean. The
    source makes the common part ``mu`` orthogonal to the subspace in a second step, by another
    decomposition of the rank-r approximation less ``mu``. Such a ``mu`` lies in the affine hull of
    the approximated means, so the span stays the same, and with it the projection: that step is
    left out.

    Raises:
        MechsteerError: ``rank`` is not below the number of languages, their means span fewer
            directions, or what `mechsteer.analysis.similarity.check_languages` refuses.

    Source: Xie et al. 2022 (Discovering Low-rank Subspaces for Language-agnostic Multilingual
    Representations), algorithm 1.
    """
    means = torch.cat(list(language_means(dev).values()), dim=-2)
    return _main((means - means.mean(-2, keepdim=True)).mT, rank, "the means of the languages")


def remove(
    test: LayerEmbeddings, basis: Mapping[str, Basis] | Basis
) -> dict[str, Float[Tensor, "*layer _sentence d"]]:
    """Take a subspace away: ``x - U U' x``, each language's own or one for all; dtype kept.

    Raises:
        MechsteerError: a language without directions, directions of other layers or another width,
            or what `mechsteer.analysis.similarity.check_embedding` refuses.
    """
    return {language: _without(x, language, _of(basis, language)) for language, x in test.items()}


def _main(columns: Float[Tensor, "*layer d column"], rank: int, whose: str) -> Basis:
    """The first left singular vectors, where the columns do have that many directions."""
    most = min(columns.shape[-2:])
    if not 1 <= rank <= most:
        raise MechsteerError(f"{whose}: expected a rank from 1 to {most}, got {rank}")
    vectors, values, _ = torch.linalg.svd(columns, full_matrices=False)
    noise = max(columns.shape[-2:]) * torch.finfo(columns.dtype).eps * values[..., 0]
    if (values[..., rank - 1] <= noise).any():
        raise MechsteerError(
            f"{whose}: expected {rank} directions to remove, and there are fewer: lower the rank"
        )
    basis: Tensor = vectors[..., :rank]
    return basis


def _of(basis: Mapping[str, Basis] | Basis, language: str) -> Basis:
    if isinstance(basis, Tensor):
        return basis
    if language not in basis:
        raise MechsteerError(
            f"no directions were fitted for {language}; fitted: {', '.join(basis) or 'none'}"
        )
    return basis[language]


def _without(
    x: Float[Tensor, "*layer sentence d"], language: str, basis: Basis
) -> Float[Tensor, "*layer sentence d"]:
    check_embedding(x, language)
    if (*x.shape[:-2], x.shape[-1]) != basis.shape[:-1]:
        raise MechsteerError(
            f"{language}: the directions were fitted on {tuple(basis.shape)}, "
            f"which does not fit embeddings {tuple(x.shape)}"
        )
    return (x.double() - x.double() @ basis @ basis.mT).to(x.dtype)
