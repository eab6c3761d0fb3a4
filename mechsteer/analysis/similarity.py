"""Cosines between parallel sentences, and by how much each translation beats its rivals.

Row i of every tensor is the same sentence in another language. One float32 product per pair of
languages serves both directions and every rule built on it; where the product's rounding could
decide, the cosines are taken again in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from mechsteer.errors import MechsteerError

Embeddings = Mapping[str, Float[Tensor, "sentence d"]]

# A float32 dot product of unit vectors is off by at most 6e-7 (measured, d from 64 to 16384, worst
# for embeddings that share a large offset), a difference of two by twice that: four times as much.
_NOISE = 5e-6


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
    norm = torch.linalg.vector_norm(x, dim=-1, dtype=torch.float64)
    if not norm.isfinite().all():
        raise MechsteerError(f"{language}: NaN or infinity in {_first(~norm.isfinite())}")
    if not norm.all():
        raise MechsteerError(f"{language}: {_first(norm == 0)} is zero and has no direction")


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


def exact_unit(x: Float[Tensor, "sentence d"]) -> Float[Tensor, "sentence d"]:
    """Unit vectors in float64 of rows that were checked."""
    return normalize(x.double(), dim=-1, eps=0)


@dataclass(frozen=True)
class Directions:
    """Embeddings of one language beside their float32 unit vectors."""

    embedding: Float[Tensor, "sentence d"]
    unit: Float[Tensor, "sentence d"]


def directions(embeddings: Embeddings) -> list[Directions]:
    """Check parallel embeddings and normalise each once.

    Raises:
        MechsteerError: see `check_parallel`.
    """
    check_parallel(embeddings)
    return [Directions(x, exact_unit(x).float()) for x in embeddings.values()]


def gold_margins(scores: Float[Tensor, "sentence sentence"]) -> Float[Tensor, "2 sentence"]:
    """Score of each translation minus that of its best rival, source to target and back.

    ``m[0, i] = s_ii - max_{j != i} s_ij`` (query in the rows) and
    ``m[1, i] = s_ii - max_{j != i} s_ji`` (query in the columns). Overwrites the diagonal.

    >>> gold_margins(torch.tensor([[4.0, 1.0], [3.0, 2.0]]))
    tensor([[ 3., -1.],
            [ 1.,  1.]])
    """
    gold = scores.diagonal().clone()
    scores.fill_diagonal_(-torch.inf)
    return torch.stack((gold - scores.amax(1), gold - scores.amax(0)))


def cosine_margins(x: Directions, y: Directions) -> Float[Tensor, "2 sentence"]:
    """`gold_margins` of the cosines of two languages, in float64.

    One float32 product; a margin small enough for rounding to change its sign, or its side of a
    tie of 1e-6, is computed again from the embeddings in float64. What rounding can do is measured
    on the diagonal of the product itself, so reduced-precision products (TF32, autocast) end in
    the same decisions, more slowly.
    """
    cosine = x.unit @ y.unit.T
    drift = (cosine.diagonal() - (x.unit * y.unit).sum(1)).abs().amax()
    margins = gold_margins(cosine).double()
    doubtful = margins.abs() <= _NOISE + 8 * drift
    for side, (query, pool) in enumerate(((x, y), (y, x))):
        rows = doubtful[side].nonzero()[:, 0]
        if len(rows):
            margins[side, rows] = _exact_margins(query.embedding, pool.embedding, rows)
    return margins


def _exact_margins(
    query: Float[Tensor, "sentence d"], pool: Float[Tensor, "sentence d"], rows: Int[Tensor, "row"]
) -> Float[Tensor, "row"]:
    with torch.autocast(query.device.type, enabled=False):
        cosine = exact_unit(query[rows]) @ exact_unit(pool).T
    each = torch.arange(len(rows), device=rows.device)
    gold = cosine[each, rows]
    cosine[each, rows] = -torch.inf
    return gold - cosine.amax(1)


def _first(bad: Tensor) -> str:
    *layer, row = bad.nonzero()[0].tolist()
    return "".join(f"layer {index}, " for index in layer) + f"row {row}"
