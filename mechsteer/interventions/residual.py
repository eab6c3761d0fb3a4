"""Edits of the residual stream, fitted on sentence embeddings of the same model.

Embeddings are ``[layer, sentence, d]`` by language, as ``mechsteer.embed`` and
``Recording.embeddings_by_language`` give them. ``layers`` chooses rows: 0 is the embedding, l
follows block l, -1 is the final norm. An edit at several rows compounds: a later row is edited as
if the earlier ones had not moved it, which is how the sources fit it. Fitting is float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings, language_means
from mechsteer.analysis.subspaces import lir_basis, lsar_basis
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.interventions.edits import ResidualEdit
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, residual_points
from mechsteer.model.wrap import ModelLike, as_model

Layers = int | Sequence[int]


def diffmean(
    model: ModelLike,
    embeddings: LayerEmbeddings,
    *,
    target: str,
    layers: Layers,
    source: str | None = None,
    normalised: bool = False,
) -> ResidualEdit:
    """Add the way from one language's mean to another's: ``h <- h + λ(mu_target - mu_source)``.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language.
        target: the language to move towards.
        layers: rows of the residual stream.
        source: the language to move away from; None: the mean of all other languages' means.
        normalised: divide by the difference's norm at each layer, so that λ is a length.

    Raises:
        MechsteerError: a language without embeddings, no difference, or other layers.

    Source: CLaS-Bench (arXiv 2601.08331), DiffMean, which is normalised.
    """
    model = as_model(model)
    points, dev = _chosen(model, embeddings, layers)
    means = _means(dev)
    others = [language for language in means if language != target]
    start = [_of(means, source)] if source else [means[language] for language in others]
    if not start or source == target:
        raise MechsteerError(f"expected another language beside the target {target}")
    v = _of(means, target) - torch.stack(start).mean(0)
    if normalised:
        v = v / _nonzero(v.norm(dim=-1, keepdim=True), f"{target} differs from nothing")
    how = {"target": target, "source": source, "normalised": normalised}
    return _edit("diffmean", model, points, dev, how, v=v[None])


def recover(
    model: ModelLike,
    embeddings: LayerEmbeddings,
    *,
    target: str,
    layers: Layers,
    source: str | None = None,
    beta: float = 1.0,
    restore_norm: bool = True,
) -> ResidualEdit:
    """Trade one language's vector for another's: ``h <- h + λ(v_target - beta·v_source)``.

    A language's vector is its mean less the mean of all languages' means, ``v_l = mu_l - mu``.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language; parallel ones in the source.
        target: the language to move towards.
        layers: rows of the residual stream.
        source: the language to move away from; None: each row's own, which ``steer`` is told.
        beta: how much of the source's vector is taken away.
        restore_norm: give every position the norm it had before.

    Raises:
        MechsteerError: a language without embeddings, or other layers.

    Source: ReCoVeR (arXiv 2509.14814).
    """
    model = as_model(model)
    points, dev = _chosen(model, embeddings, layers)
    means = _means(dev)
    common = torch.stack(list(means.values())).mean(0)
    goal = _of(means, target) - common
    sources = {source: _of(means, source)} if source else means
    v = torch.stack([goal - beta * (mean - common) for mean in sources.values()])
    how = {"target": target, "source": source, "beta": beta}
    languages = () if source else tuple(means)
    edit = _edit("recover", model, points, dev, how, v=v, languages=languages)
    return replace(edit, restore_norm=restore_norm)


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
    points, dev = _chosen(model, embeddings, layers)
    x, y = _of(dev, source).double(), _of(dev, target).double()
    if x.shape != y.shape:
        raise MechsteerError(
            "expected parallel sentences, "
            f"got {x.shape[1]} in {source} and {y.shape[1]} in {target}"
        )
    left, right = _least_squares(x, y, ridge)
    how = {"source": source, "target": target, "ridge": ridge}
    return _edit("linear_map", model, points, dev, how, left=left[None], right=right[None])


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
    points, dev = _chosen(model, embeddings, layers)
    if how not in ("lir", "lsar"):
        raise MechsteerError(f"expected how='lir' or 'lsar', got {how!r}")
    bases = lir_basis(dev, rank) if how == "lir" else {"": lsar_basis(dev, rank)}
    basis = torch.stack(list(bases.values()))
    languages = tuple(bases) if how == "lir" else ()
    made = {"how": how, "rank": rank}
    return _edit(how, model, points, dev, made, left=-basis, right=basis, languages=languages)


def centring(model: ModelLike, embeddings: LayerEmbeddings, *, layers: Layers) -> ResidualEdit:
    """Take each language's mean away: ``h <- h - λ mu_language``.

    ``steer`` must be told the language of each row. At the last row this is
    ``mechsteer.analysis.centre`` on embeddings.

    Args:
        model: the model the embeddings come from.
        embeddings: of dev sentences, by language.
        layers: rows of the residual stream.

    Raises:
        MechsteerError: what `mechsteer.analysis.similarity.check_embedding` refuses, or other
            layers.

    Source: see `mechsteer.analysis.centre`.
    """
    model = as_model(model)
    points, dev = _chosen(model, embeddings, layers)
    means = _means(dev)
    v = -torch.stack(list(means.values()))
    return _edit("centring", model, points, dev, {}, v=v, languages=tuple(means))


def _chosen(
    model: Model, embeddings: LayerEmbeddings, layers: Layers
) -> tuple[tuple[HookSite, ...], dict[str, Float[Tensor, "point sentence d"]]]:
    """Hook points of the wanted rows, and the embeddings of just those."""
    model.require_raw()
    points = residual_points(model)
    for language, x in embeddings.items():
        if x.ndim != 3 or (x.shape[0], x.shape[2]) != (len(points), points[0].width):
            raise MechsteerError(
                f"{language}: expected embeddings of this model, [layer, sentence, d] with "
                f"{len(points)} layers and d = {points[0].width}, got {tuple(x.shape)}"
            )
    wanted = [layers] if isinstance(layers, int) else list(layers)
    outside = [layer for layer in wanted if not -len(points) <= layer < len(points)]
    rows = sorted({layer % len(points) for layer in wanted})
    if outside or len(rows) < len(wanted) or not rows:
        raise MechsteerError(
            f"expected distinct layers from 0 (embedding) to {len(points) - 1} (final norm), "
            f"or -1 for the last, got {wanted}"
        )
    return tuple(points[row] for row in rows), {name: x[rows] for name, x in embeddings.items()}


def _means(dev: LayerEmbeddings) -> dict[str, Float[Tensor, "point d"]]:
    return {language: mean[:, 0] for language, mean in language_means(dev).items()}


def _of(fitted: Mapping[str, Tensor], language: str) -> Tensor:
    if language not in fitted:
        raise MechsteerError(f"no embeddings of {language}; there are {', '.join(fitted)}")
    return fitted[language]


def _nonzero(norm: Tensor, problem: str) -> Tensor:
    if not norm.all():
        raise MechsteerError(f"{problem}: expected a difference at every layer")
    return norm


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


def _edit(
    name: str,
    model: Model,
    points: tuple[HookSite, ...],
    dev: LayerEmbeddings,
    how: Mapping[str, Any],
    *,
    v: Float[Tensor, "language point d"] | None = None,
    left: Float[Tensor, "language point d rank"] | None = None,
    right: Float[Tensor, "language point d rank"] | None = None,
    languages: tuple[str, ...] = (),
) -> ResidualEdit:
    shape = len(languages) or 1, len(points), points[0].width
    return ResidualEdit(
        name,
        points,
        torch.zeros(shape) if v is None else v.float().cpu(),
        left=None if left is None else left.float().cpu(),
        right=None if right is None else right.float().cpu(),
        languages=languages,
        model=_identity(model),
        provenance={
            **how,
            "layers": [point.layer for point in points],
            "sentences": {language: x.shape[1] for language, x in dev.items()},
        },
    )


def _identity(model: Model) -> ModelIdentity | None:
    """None for a bridge of one's own that does not say where its tokenizer lies."""
    try:
        return model.identity()
    except ModelError:
        return None
