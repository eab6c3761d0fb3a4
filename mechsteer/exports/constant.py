"""What of edits is the same for every token, and so can be carried by weights: all of it, or none.

A map of neurons at one hook point, ``z ← a·z + b``, and a shift of the residual stream,
``h ← h + v``. Whatever looks at a token, its position or its language is no such thing and is
refused with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.interventions import Edit, NeuronEdit, ResidualEdit
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite
from mechsteer.steering.positions import Positions


@dataclass(frozen=True)
class Map:
    """``z ← a·z + b`` of the neurons of one hook point, float64 ``[neuron]``; 1 and 0 elsewhere."""

    point: HookSite
    a: Float[Tensor, " neuron"]
    b: Float[Tensor, " neuron"]


@dataclass(frozen=True)
class Shift:
    """``h ← h + v`` at one row of the residual stream, ``v`` float64 ``[d]``."""

    point: HookSite
    v: Float[Tensor, " d"]


Constant = Map | Shift


def require_everywhere(positions: Positions) -> None:
    """Refuse edits that act at some tokens alone.

    Raises:
        MechsteerError: other positions than all.
    """
    if positions != "all":
        raise MechsteerError(
            f"an edit at positions {positions!r} depends on the token, and what is exported acts "
            "on every one: export it at positions 'all', or steer with mechsteer"
        )


def constants(edits: Iterable[Edit], language: str | None = None) -> tuple[Constant, ...]:
    """The constant parts of edits that act together in this order: maps, one a hook point; shifts.

    Args:
        edits: of neurons, or of the residual stream.
        language: takes one language of edits that depend on it.

    Raises:
        MechsteerError: an edit that is no constant map; the message names it and says why.
    """
    maps: dict[str, Map] = {}
    shifts: list[Shift] = []
    for edit in edits:
        if edit.is_identity():
            continue
        if isinstance(edit, ResidualEdit):
            shifts += _shifts(edit, language)
            continue
        for part in _maps(edit):
            before = maps.get(part.point.hook)
            maps[part.point.hook] = part if before is None else _after(before, part)
    return *maps.values(), *shifts


def acting(model: Model, edit: Edit) -> Edit:
    """An edit without rows that another takes the place of.

    Where the last block's output stands for the final norm, both rows are one point, at which
    ``steer`` adds the vector of the last one.
    """
    if isinstance(edit, NeuronEdit):
        return edit
    points = model.hook_dict
    last = {id(points[point.hook]): row for row, point in enumerate(edit.points)}
    rows = sorted(last.values())
    if len(rows) == len(edit.points):
        return edit
    factors = {"v": edit.v, "left": edit.left, "right": edit.right}
    kept = {name: None if f is None else f[:, rows] for name, f in factors.items()}
    return replace(edit, points=tuple(edit.points[row] for row in rows), **kept)  # type: ignore[arg-type]


def vector_of(edit: Edit, language: str | None = None) -> dict[HookSite, Float[Tensor, " d"]]:
    """``λ·v`` by row of an edit that adds a vector to the residual stream and does nothing else.

    Raises:
        MechsteerError: it moves neurons, has a linear part, restores norms or depends on the
            language.
    """
    if isinstance(edit, NeuronEdit):
        raise MechsteerError(
            f"{edit.name!r} moves neurons, and a vector moves the residual stream: "
            "export a checkpoint"
        )
    return {shift.point: shift.v.float() for shift in _shifts(edit, language)}


def _maps(edit: NeuronEdit) -> list[Map]:
    if edit.low is not None:
        raise MechsteerError(
            f"{edit.name!r} maps only values within a window, so it depends on the token: "
            "no weights do the same"
        )
    parts = []
    for place, offset in zip(edit.site.points, edit.site.offsets, strict=True):
        here = (edit.index >= offset) & (edit.index < offset + place.width)
        if here.any():
            _require_dense(edit, place)
            a, b = torch.ones(place.width).double(), torch.zeros(place.width).double()
            a[edit.index[here] - offset] = edit.a[here].double()
            b[edit.index[here] - offset] = edit.b[here].double()
            parts.append(Map(place, a, b))
    return parts


def _require_dense(edit: NeuronEdit, place: HookSite) -> None:
    if place.kind == "experts":
        raise MechsteerError(
            f"{edit.name!r} moves neurons of routed experts, whose outputs are scaled by the "
            "router's weight of each token: a constant of theirs is none of the layer"
        )


def _shifts(edit: ResidualEdit, language: str | None) -> list[Shift]:
    if edit.languages and language is None:
        raise MechsteerError(
            f"{edit.name!r} depends on the language of the text: export it for one, "
            f"language={edit.languages[0]!r}"
        )
    if edit.left is not None and edit.left.any():
        raise MechsteerError(
            f"{edit.name!r} has a linear part, which depends on the token: only a vector is "
            "the same for all"
        )
    if edit.restore_norm:
        raise MechsteerError(
            f"{edit.name!r} restores each token's norm, which is no addition of a vector"
        )
    one = edit.of(language) if edit.languages and language else edit
    v = (one.strength * one.v[0]).double()
    return [Shift(point, v[row]) for row, point in enumerate(one.points) if v[row].any()]


def _after(first: Map, second: Map) -> Map:
    """Both, the first before the second, at one hook point."""
    return Map(first.point, second.a * first.a, second.a * first.b + second.b)
