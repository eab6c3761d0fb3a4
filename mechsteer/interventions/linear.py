"""Linear maps of the residual stream: from one language to another, and out of a subspace.

Fitted as ``mechsteer.interventions.residual`` says.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.subspaces import lir_basis, lsar_basis
from mechsteer.errors import MechsteerError
from mechsteer.interventions.edits import ResidualEdit
from mechsteer.interventions.rows import Layers, chosen_rows, of_language, residual_edit
from mechsteer.model.wrap import ModelLike, as_model


def linear_map(
    model: ModelLike,
    embeddings: LayerEmbeddings,
    *,
    source: str,
    target: str,
    layers: Layers,
    ridge: float = 0.0,
) -> ResidualEdit:
    """Add what a linear map makes of an activation: ``h <- h + λ W h``.

    ``W`` minimises ``Σ_i |W x_i - y_i|² + ridge·|W|²`` over parallel sentences ``x`` of the source
    and ``y`` of the target, without an offset. Without a ridge it is the least-squares solution of
    least norm (there are many where sentences are fewer than dimensions).

    The source acts at the last token of the prompt: ``steer(model, edit, positions="last")``, with
    ``|λ| <= 1``. Its released script maps outputs of the MLPs; this maps the residual stream, as
    the paper writes it.

    Args:
        model: the model the embeddings come from.
        embeddings: of parallel dev sentences, by language.
        source: the language the map reads.
        target: the language the map writes.
        layers: rows of the residual stream.
        ridge: penalty, in squared units of the embeddings.

    Raises:
        MechsteerError: a language without embeddings, sentences that are not parallel, a negative
            ridge, or other layers.

    Source: INCLINE (Wang et al. 2025, arXiv 2410.12462).
    """
    model = as_model(model)
    if not 0 <= ridge < float("inf"):
        raise MechsteerError(f"expected a ridge of 0 or more, got {ridge}")
    points, dev = chosen_rows(model, embeddings, layers)
    x, y = of_language(dev, source).double(), of_language(dev, target).double()
    if x.shape != y.shape:
        raise MechsteerError(
            "expected parallel sentences, "
            f"got {x.shape[1]} in {source} and {y.shape[1]} in {target}"
        )
    left, right = _least_squares(x, y, ridge)
    how = {"source": source, "target": target, "ridge": ridge}
    return residual_edit("linear_map", model, points, dev, how, left=left[None], right=right[None])


def remove_subspace(
    model: ModelLike,
    embeddings: LayerEmbeddings,
    *,
    rank: int,
    layers: Layers,
    how: Literal["lir", "lsar"] = "lir",
) -> ResidualEdit:
    """Take the directions of language away: ``h <- h - λ U U' h``.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language.
        rank: number of directions.
        layers: rows of the residual stream.
        how: ``"lir"``: each language its own main directions, so ``steer`` must be told the
            language of each row; ``"lsar"``: the directions in which language means differ, one
            subspace for all.

    Raises:
        MechsteerError: more directions than there are, or other layers.

    Source: see `mechsteer.analysis.subspaces`.
    """
    model = as_model(model)
    points, dev = chosen_rows(model, embeddings, layers)
    if how not in ("lir", "lsar"):
        raise MechsteerError(f"expected how='lir' or 'lsar', got {how!r}")
    bases = lir_basis(dev, rank) if how == "lir" else {"": lsar_basis(dev, rank)}
    basis = torch.stack(list(bases.values()))
    languages = tuple(bases) if how == "lir" else ()
    made = {"how": how, "rank": rank}
    return residual_edit(
        how, model, points, dev, made, left=-basis, right=basis, languages=languages
    )


def _least_squares(
    x: Float[Tensor, "point sentence d"], y: Float[Tensor, "point sentence d"], ridge: float
) -> tuple[Float[Tensor, "point d rank"], Float[Tensor, "point d rank"]]:
    """Factors ``W = left @ right.T``, of rank min(sentence, d), from ``x = U S V'``.

    ``W = Y' U diag(s / (s² + ridge)) V'``; singular values that are rounding are taken for zero, as
    numpy's ``lstsq`` does.
    """
    u, s, vh = torch.linalg.svd(x, full_matrices=False)
    noise = max(x.shape[1:]) * torch.finfo(x.dtype).eps * s[:, :1]
    inverse = torch.where(s > noise, s / (s.square() + ridge), 0)
    return y.mT @ (u * inverse[:, None]), vh.mT
