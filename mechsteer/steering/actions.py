"""What an installed edit does to an activation, with its values on the activation's device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.interventions import NeuronEdit, ResidualEdit
from mechsteer.kernels import PreparedEdit
from mechsteer.model.sites import HookSite
from mechsteer.steering.positions import PositionMask

Action = Callable[[Tensor], Tensor]


def neuron_actions(edit: NeuronEdit, where: Mapping[str, PositionMask]) -> dict[HookSite, Action]:
    """One action for each point of the site that holds neurons of the edit; ``where`` by stack."""
    actions: dict[HookSite, Action] = {}
    for place, offset in zip(edit.site.points, edit.site.offsets, strict=True):
        here = (edit.index >= offset) & (edit.index < offset + place.width)
        if here.any():
            values = {"a": edit.a, "b": edit.b, "low": edit.low, "high": edit.high}
            chosen = {name: value[here] for name, value in values.items() if value is not None}
            prepared = PreparedEdit(edit.index[here] - offset, **chosen)
            actions[place] = _neuron_action(prepared, where[place.stack])
    return actions


def residual_actions(
    edit: ResidualEdit, where: Mapping[str, PositionMask]
) -> dict[HookSite, Action]:
    """One action for each layer of an edit that ``by_row`` gave; ``where`` by stack."""
    actions: dict[HookSite, Action] = {}
    shifts = edit.is_shift()
    for number, point in enumerate(edit.points):
        factors = {"v": edit.v} | ({} if shifts else {"left": edit.left, "right": edit.right})
        values = {name: f[:, number] for name, f in factors.items() if f is not None}
        for scaled in {"v", "left"} & set(values):
            values[scaled] = edit.strength * values[scaled]
        if edit.languages:
            values["v"] = values["v"][:, None]
        else:  # one matrix for all rows of a batch: one product
            values = {name: value[0] for name, value in values.items()}
        n_rows = len(edit.languages) or None
        change = _shifted if shifts else partial(_moved, restore_norm=edit.restore_norm)
        actions[point] = _residual_action(values, change, where[point.stack], n_rows)
    return actions


def by_row(edit: ResidualEdit, languages: str | Sequence[str] | None) -> ResidualEdit:
    """The edit for a batch: the same for every row, or with its language axis along the rows.

    Raises:
        MechsteerError: the edit depends on the language, and it was not said or not fitted.
    """
    if not edit.languages:
        return edit
    if languages is None:
        raise MechsteerError(
            f"edit {edit.name!r} depends on the language of each row: "
            'pass languages="fra_Latn", or a list with one for each row of the batch'
        )
    if isinstance(languages, str):
        return edit.of(languages)
    each = [edit.of(language) for language in languages]
    lefts = [row.left for row in each if row.left is not None]
    rights = [row.right for row in each if row.right is not None]
    return replace(
        edit,
        v=torch.cat([row.v for row in each]),
        left=torch.cat(lefts) if lefts else None,
        right=torch.cat(rights) if rights else None,
        languages=tuple(languages),
    )


def _neuron_action(edit: PreparedEdit, where: PositionMask) -> Action:
    on = cache(edit.to)  # copied to each device once: layers may live on different ones

    def act(z: Tensor) -> Tensor:
        return on(z.device).apply(z, mask=where.mask)

    return act


def _residual_action(
    values: dict[str, Tensor],
    change: Callable[..., Tensor],
    where: PositionMask,
    n_rows: int | None,
) -> Action:
    @cache  # as above
    def on(device: torch.device) -> dict[str, Any]:
        return {name: value.to(device) for name, value in values.items()}

    def act(h: Tensor) -> Tensor:
        if n_rows is not None and len(h) != n_rows:
            raise MechsteerError(
                f"expected a batch of {n_rows} rows, one for each of languages, got {len(h)}"
            )
        out = change(h, **on(h.device))
        if where.mask is not None:
            out = torch.where(where.mask.to(h.device)[..., None], out, h)
        return out

    return act


def _shifted(h: Tensor, v: Tensor) -> Tensor:
    """``h + v``, with ``v`` rounded to the stream's precision: what a bias of the weights does."""
    return h + v.to(h.dtype)


def _moved(
    h: Tensor,
    v: Tensor,
    left: Tensor | None = None,
    right: Tensor | None = None,
    *,
    restore_norm: bool,
) -> Tensor:
    x = h.to(torch.promote_types(h.dtype, torch.float32))
    out = x + _displacement(x, v, left, right)
    return (_with_norm_of(x, out) if restore_norm else out).to(h.dtype)


def _displacement(
    x: Float[Tensor, "batch token d"],
    v: Tensor,
    left: Tensor | None = None,
    right: Tensor | None = None,
) -> Float[Tensor, "*position d"]:
    """``W x + v`` at every position, ``W = left @ right.T`` (or ``left`` alone)."""
    v = v.to(x.dtype)
    if left is None:
        return v
    inner = x if right is None else x @ right.to(x.dtype)
    return inner @ left.to(x.dtype).mT + v


def _with_norm_of(
    x: Float[Tensor, "batch token d"], out: Float[Tensor, "batch token d"]
) -> Float[Tensor, "batch token d"]:
    """Rescale each position to the norm it had; one that became zero stays zero."""
    norm = out.norm(dim=-1, keepdim=True)
    return out * torch.where(norm > 0, x.norm(dim=-1, keepdim=True) / norm, 0)
