"""Edit chosen neurons of a layer: ``z ← a·z + b``, one launch.

Floor: in place, one read and one write of the edited columns; out of place, of the whole of ``z``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from .backends import DTYPES, Backend, pick_backend

__all__ = ["edit_neurons"]


@dataclass(frozen=True)
class Edit:
    """The edit as every backend takes it, on the device of ``z``: both bounds or none."""

    index: Tensor
    a: Tensor
    b: Tensor
    low: Tensor | None
    high: Tensor | None
    mask: Tensor | None


def edit_neurons(
    z: Float[Tensor, "batch token neuron"],
    index: Int[Tensor, "k"],
    a: Float[Tensor, "k"],
    b: Float[Tensor, "k"],
    *,
    mask: Bool[Tensor, "batch token"] | None = None,
    low: Float[Tensor, "k"] | None = None,
    high: Float[Tensor, "k"] | None = None,
    inplace: bool = False,
    checked: bool = False,
    backend: Backend = "auto",
) -> Float[Tensor, "batch token neuron"]:
    r"""Map chosen neurons by $z \leftarrow a z + b$, in float32, then cast to the dtype of ``z``.

    Where ``a`` is 0 the value is replaced by ``b``, so that an infinite or NaN activation cannot
    turn into NaN. With ``low`` or ``high`` only incoming values in ``[low, high]`` are mapped; NaN
    lies in no window. Everything else keeps its bits. No neurons (k = 0) change nothing.

    No gradient passes the Triton kernel. Out of place ``"auto"`` therefore takes the CPU path,
    which is plain differentiable torch on any device, when ``z`` needs one; ``a`` and ``b`` are
    constants.

    Args:
        z: Activations, bfloat16, float16 or float32, any strides.
        index: Distinct neurons, int64; ascending order is the fastest on a GPU.
        a: Factors, finite.
        b: Offsets, finite.
        mask: Positions to edit; all if not given.
        low: Least incoming value mapped, inclusive; no bound if not given.
        high: Greatest incoming value mapped, inclusive; no bound if not given.
        inplace: Overwrite ``z`` instead of returning a new tensor. Only for callers who own it:
            what others captured may be views of it.
        checked: The caller vouches for distinct, valid ``index`` and finite ``a`` and ``b``. The
            check makes a GPU wait, and an invalid index would then touch foreign memory.
        backend: ``"auto"``, ``"triton"``, ``"cpu"`` or ``"reference"``.

    Raises:
        ValueError: If a neuron repeats or is out of range, a coefficient is not finite, a shape or
            dtype does not fit, or a gradient is needed where none passes.

    Example:
        >>> z = torch.tensor([[[1.0, 2.0, torch.inf]]])
        >>> edit_neurons(z, torch.tensor([0, 2]), torch.tensor([3.0, 0.0]), torch.ones(2)).tolist()
        [[[4.0, 2.0, 1.0]]]
    """
    _check_shapes(z, index, {"a": a, "b": b, "low": low, "high": high}, mask)
    if not checked:
        _check_values(z, index, {"a": a, "b": b})
    needs_gradient = torch.is_grad_enabled() and z.requires_grad
    chosen = pick_backend("cpu" if backend == "auto" and needs_gradient else backend, z)
    if needs_gradient and (inplace or chosen == "triton"):
        raise ValueError(
            "z needs a gradient and none passes an edit in place or in Triton: "
            "run under torch.no_grad(), or edit out of place with backend='auto'"
        )
    if inplace and any(n > 1 and s == 0 for n, s in zip(z.shape, z.stride(), strict=True)):
        raise ValueError("z is expanded, its elements share memory: edit it out of place")
    if low is not None or high is not None:
        low = torch.full_like(a, -torch.inf) if low is None else low
        high = torch.full_like(a, torch.inf) if high is None else high
    edit = Edit(
        *(t.detach().to(z.device) for t in (index, a, b)),
        *(None if t is None else t.to(z.device) for t in (low, high, mask)),
    )
    out = z if inplace else z.clone() if chosen == "cpu" else torch.empty_like(z)
    return _EDIT[chosen](z, out, edit) if z.numel() else out


def _check_shapes(
    z: Tensor, index: Tensor, values: dict[str, Tensor | None], mask: Tensor | None
) -> None:
    if z.ndim != 3 or z.dtype not in DTYPES:
        raise ValueError(
            "z must be [batch, token, neuron] of bfloat16, float16 or float32, "
            f"got {list(z.shape)} of {z.dtype}"
        )
    if index.ndim != 1 or index.dtype != torch.int64:
        raise ValueError(f"index must be [k] of int64, got {list(index.shape)} of {index.dtype}")
    for name, value in values.items():
        if value is not None and (value.shape != index.shape or value.dtype != torch.float32):
            raise ValueError(
                f"{name} must be {list(index.shape)} of float32, one for each neuron of index, "
                f"got {list(value.shape)} of {value.dtype}"
            )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != z.shape[:2]):
        raise ValueError(
            f"mask must be bool of shape {list(z.shape[:2])} ([batch, token] of z), "
            f"got {list(mask.shape)} of {mask.dtype}"
        )


def _check_values(z: Tensor, index: Tensor, coefficients: dict[str, Tensor]) -> None:
    ordered = index.sort().values
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise ValueError(f"index must hold distinct neurons, got {int(repeated[0])} twice")
    if len(index) and not 0 <= int(ordered[0]) <= int(ordered[-1]) < z.shape[2]:
        raise ValueError(
            f"index must lie in 0..{z.shape[2] - 1} (z has {z.shape[2]} neurons), "
            f"got {int(ordered[0])}..{int(ordered[-1])}"
        )
    for name, value in coefficients.items():
        if not value.isfinite().all():
            at = int(value.isfinite().int().argmin())
            raise ValueError(f"{name} must be finite, got {value[at].item()} for entry {at}")


def _edit_reference(z: Tensor, out: Tensor, edit: Edit) -> Tensor:
    """Say it in float64, one activation at a time."""
    out.copy_(z)
    for k, neuron in enumerate(edit.index.tolist()):
        a, b = float(edit.a[k]), float(edit.b[k])
        for row, token in product(range(z.shape[0]), range(z.shape[1])):
            x = float(z[row, token, neuron])
            real = edit.mask is None or bool(edit.mask[row, token])
            if edit.low is not None and edit.high is not None:
                real = real and bool(edit.low[k] <= x <= edit.high[k])
            if real:
                out[row, token, neuron] = a * x + b if a else b
    return out


def _edit_cpu(z: Tensor, out: Tensor, edit: Edit) -> Tensor:
    """Gather the columns, map them, scatter them back; differentiable where ``out`` is a clone."""
    columns = edit.index.expand(*z.shape[:2], -1)  # gather: four times faster than index_select
    before = z.gather(2, columns)
    x = before.float()
    after = torch.where(edit.a == 0, edit.b, edit.a * x + edit.b).to(z.dtype)
    if edit.low is not None and edit.high is not None:
        after = torch.where((x >= edit.low) & (x <= edit.high), after, before)
    if edit.mask is not None:
        after = torch.where(edit.mask[:, :, None], after, before)
    return out.scatter_(2, columns, after)


def _edit_triton(z: Tensor, out: Tensor, edit: Edit) -> Tensor:
    from .edits_triton import launch_edit

    launch_edit(z, out, edit)
    return out


_EDIT = {"triton": _edit_triton, "cpu": _edit_cpu, "reference": _edit_reference}
