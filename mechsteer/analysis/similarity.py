"""What every measure of parallel embeddings starts from: checked rows, and their directions.

Row i of every tensor is the same sentence in another language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import normalize

from mechsteer.analysis.held import pairs
from mechsteer.errors import MechsteerError

Embeddings = Mapping[str, Float[Tensor, "sentence d"]]

# Rounding, not signal: what is left of a float64 row after taking away a mean equal to it, relative
# to its norm.
_ROUNDING = 1e-12


def check_embedding(x: Float[Tensor, "*layer sentence d"], language: str) -> None:
    """Refuse anything but two or more finite, non-zero rows of floating-point numbers.

    Raises:
        MechsteerError: naming the language, and layer and row where there is one.
    """
    if x.ndim < 2 or not x.is_floating_point():
        raise MechsteerError(
            f"{language}: expected floating-point embeddings [sentence, d], "
            f"got {x.dtype} {tuple(x.shape)}"
        )
    if x.shape[-2] < 2 or x.shape[-1] == 0:
        raise MechsteerError(
            f"{language}: expected two sentences or more and d >= 1, got {tuple(x.shape)}"
        )
    norm = vector_norm(x, dim=-1, dtype=torch.float64)
    if not norm.isfinite().all():
        raise MechsteerError(f"{language}: NaN or infinity in {_first(~norm.isfinite())}")
    if not norm.all():
        raise MechsteerError(f"{language}: {_first(norm == 0)} is zero and has no direction")


def check_languages(embeddings: Mapping[str, Float[Tensor, "*layer sentence d"]]) -> None:
    """Refuse all but checked embeddings of the same layers and width; sentences need not match.

    Raises:
        MechsteerError: no language, shapes that differ in more than the number of sentences, or
            what `check_embedding` refuses.
    """
    if not embeddings:
        raise MechsteerError("expected embeddings of one language or more, got none")
    for language, x in embeddings.items():
        check_embedding(x, language)
    first, x = next(iter(embeddings.items()))
    for language, y in embeddings.items():
        if (*x.shape[:-2], x.shape[-1]) != (*y.shape[:-2], y.shape[-1]):
            raise MechsteerError(
                "expected embeddings of the same layers and width, got "
                f"{tuple(x.shape)} for {first} and {tuple(y.shape)} for {language}"
            )


def check_parallel(embeddings: Embeddings) -> None:
    """Refuse all but checked embeddings of two or more languages with rows side by side.

    Raises:
        MechsteerError: fewer than two languages, shapes that differ, or what `check_embedding`
            refuses.
    """
    if len(embeddings) < 2:
        raise MechsteerError(f"expected embeddings of two languages or more, got {len(embeddings)}")
    first, shape = next((language, x.shape) for language, x in embeddings.items())
    for language, x in embeddings.items():
        if x.ndim != 2 or x.shape != shape:
            raise MechsteerError(
                "expected parallel embeddings [sentence, d] of one shape, got "
                f"{tuple(shape)} for {first} and {tuple(x.shape)} for {language}"
            )
        check_embedding(x, language)


def exact_unit(x: Float[Tensor, "*layer sentence d"]) -> Float[Tensor, "*layer sentence d"]:
    """Unit vectors in float64 of rows that were checked."""
    return normalize(x.double(), dim=-1, eps=0)


def without_mean(x: Float[Tensor, "sentence d"]) -> Float[Tensor, "sentence d"]:
    """Rows that were checked, their mean taken away, in float64; a row equal to it becomes zero."""
    wide = x.double()
    moved = wide - wide.mean(0)
    rounding = vector_norm(moved, dim=1) <= _ROUNDING * vector_norm(wide, dim=1)
    return moved.masked_fill(rounding[:, None], 0)


@dataclass(frozen=True)
class Directions:
    """Embeddings of one language and their unit vectors: in float32, and in float64 on demand."""

    embedding: Float[Tensor, "sentence d"]
    unit: Float[Tensor, "sentence d"]

    @cached_property
    def exact(self) -> Float[Tensor, "sentence d"]:
        """Unit vectors in float64."""
        return exact_unit(self.embedding)


def directions(embeddings: Embeddings) -> list[Directions]:
    """Check parallel embeddings and normalise each once.

    Raises:
        MechsteerError: see `check_parallel`.
    """
    check_parallel(embeddings)
    return [direction(x) for x in embeddings.values()]


def direction(x: Float[Tensor, "sentence d"]) -> Directions:
    """Embeddings that were checked, normalised."""
    return Directions(x, exact_unit(x).float())


def direction_pairs(embeddings: Embeddings) -> Iterator[tuple[int, int, Directions, Directions]]:
    """Check parallel embeddings; every two languages ``s < t`` with their numbers, see `pairs`.

    Raises:
        MechsteerError: see `check_parallel`.
    """
    check_parallel(embeddings)
    yield from pairs(embeddings, direction, times=4)  # with float32 and float64 units


def _first(bad: Tensor) -> str:
    *layer, row = bad.nonzero()[0].tolist()
    return "".join(f"layer {index}, " for index in layer) + f"row {row}"
