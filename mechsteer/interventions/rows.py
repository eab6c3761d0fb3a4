"""What every fit of a residual edit shares: its rows, its languages, the edit that is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings, language_means
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.interventions.edits import ResidualEdit
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, residual_points

Layers = int | Sequence[int]
"""Rows of the residual stream: 0 is the embedding, l follows block l, -1 is the final norm."""


def chosen_rows(
    model: Model, embeddings: LayerEmbeddings, layers: Layers
) -> tuple[tuple[HookSite, ...], dict[str, Float[Tensor, "point _sentence d"]]]:
    """Hook points of the wanted rows, and the embeddings of just those.

    Raises:
        MechsteerError: embeddings of another model, or rows it does not have.
    """
    model.require_raw()
    points = residual_points(model)
    for language, x in embeddings.items():
        if x.ndim != 3 or (x.shape[0], x.shape[2]) != (len(points), points[0].width):
            raise MechsteerError(
                f"{language}: expected embeddings of this model, [layer, sentence, d] with "
                f"{len(points)} layers and d = {points[0].width}, got {tuple(x.shape)}"
            )
    wanted = [layers] if isinstance(layers, int) else list(layers)
    inside = [x for x in wanted if isinstance(x, int) and -len(points) <= x < len(points)]
    rows = sorted({layer % len(points) for layer in inside})
    if len(rows) < len(wanted) or not rows:
        raise MechsteerError(
            f"expected distinct layers from 0 (embedding) to {len(points) - 1} (final norm), "
            f"or -1 for the last, got {wanted}"
        )
    return tuple(points[row] for row in rows), {name: x[rows] for name, x in embeddings.items()}


def means_of(dev: LayerEmbeddings) -> dict[str, Float[Tensor, "point d"]]:
    """The mean of each language at each row, float64."""
    return {language: mean[:, 0] for language, mean in language_means(dev).items()}


def of_language(fitted: Mapping[str, Tensor], language: str) -> Tensor:
    """What was fitted for one language.

    Raises:
        MechsteerError: there are no embeddings of it.
    """
    if language not in fitted:
        raise MechsteerError(f"no embeddings of {language}; there are {', '.join(fitted)}")
    return fitted[language]


def residual_edit(
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
    """The edit of some rows in float32, with the model and the sentences it was fitted on."""
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
