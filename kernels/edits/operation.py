"""Edit chosen neurons of a layer: ``z ← a·z + b``, one launch.

Floor: in place, one read and one write of the edited columns; out of place, of the whole of ``z``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.backends import DTYPES, Backend, pick_backend

__all__ = ["PreparedEdit", "edit_neurons"]


@dataclass(frozen=True)
class PreparedEdit:
    """An edit made once and applied often; the arguments are those of `edit_neurons`.

    What depends on the edit alone is found once: whether its shapes fit, its window, its clamps.
    The caller vouches for distinct, valid ``index`` and finite ``a`` and ``b`` as by ``checked``.

    Raises:
        ValueError: If a shape or dtype does not fit.

    Example:
        >>> clamp = PreparedEdit(torch.tensor([1]), torch.zeros(1), torch.ones(1))
        >>> clamp.apply(torch.tensor([[[5.0, 6.0, 7.0]]])).tolist()
        [[[5.0, 1.0, 7.0]]]
    """

    index: Int[Tensor, "k"]
    a: Float[Tensor, "k"]
    b: Float[Tensor, "k"]
    low: Float[Tensor, "k"] | None = None
    high: Float[Tensor, "k"] | None = None

    def __post_init__(self) -> None:
        shape = self.index.shape
        if self.index.ndim != 1 or self.index.dtype != torch.int64:
            raise ValueError(f"index must be [k] of int64, got {list(shape)} of {self.index.dtype}")
        for name in ("a", "b", "low", "high"):
            value = getattr(self, name)
            if value is not None and (value.shape != shape or value.dtype != torch.float32):
                raise ValueError(
                    f"{name} must be {list(shape)} of float32, one for each neuron of index, "
                    f"got {list(value.shape)} of {value.dtype}"
                )

    @cached_property
    def window(self) -> tuple[Tensor, Tensor] | None:
        """Both bounds, or None where neither was given."""
        if self.low is None and self.high is None:
            return None
        low = torch.full_like(self.a, -torch.inf) if self.low is None else self.low
        return low, torch.full_like(self.a, torch.inf) if self.high is None else self.high

    @cached_property
    def n_clamped(self) -> int:
        """Neurons that get a constant: where all do, no activation need be read."""
        return len(self.a) - int(self.a.count_nonzero())

    def to(self, device: torch.device) -> PreparedEdit:
        """The edit on a device, as constants."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: v.detach().to(device) for name, v in given.items() if v is not None}
        return replace(self, **moved)

    def apply(
        self,
        z: Float[Tensor, "batch token neuron"],
        *,
        mask: Bool[Tensor, "batch token"] | None = None,
        inplace: bool = False,
        backend: Backend = "auto",
    ) -> Float[Tensor, "batch token neuron"]:
        """Edit ``z``, which is on the device of the edit, as `edit_neurons` does.

        Raises:
            ValueError: If a shape or dtype does not fit, or a gradient is needed where none passes.
        """
        _check_activations(z, mask)
        needs_gradient = z.requires_grad and torch.is_grad_enabled()
        chosen = pick_backend("cpu" if backend == "auto" and needs_gradient else backend, z)
        if needs_gradient and (inplace or chosen == "triton"):
            raise ValueError(
                "z needs a gradient and none passes an edit in place or in Triton: "
                "run under torch.no_grad(), or edit out of place with backend='auto'"
            )
        if inplace and any(n > 1 and s == 0 for n, s in zip(z.shape, z.stride(), strict=True)):
            raise ValueError("z is expanded, its elements share memory: edit it out of place")
        out = z if inplace else z.clone() if chosen == "cpu" else torch.empty_like(z)
        mask = None if mask is None else mask.to(z.device)
        return _EDIT[chosen](z, out, self, mask) if z.numel() else out


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
    edit = PreparedEdit(index, a, b, low, high)
    _check_activations(z, mask)
    if not checked:
        _check_values(z, edit)
    return edit.to(z.device).apply(z, mask=mask, inplace=inplace, backend=backend)


def _check_activations(z: Tensor, mask: Tensor | None) -> None:
    if z.ndim != 3 or z.dtype not in DTYPES:
        raise ValueError(
            "z must be [batch, token, neuron] of bfloat16, float16 or float32, "
            f"got {list(z.shape)} of {z.dtype}"
        )
    if mask is not None and (mask.dtype != torch.bool or mask.shape != z.shape[:2]):
        raise ValueError(
            f"mask must be bool of shape {list(z.shape[:2])} ([batch, token] of z), "
            f"got {list(mask.shape)} of {mask.dtype}"
        )


def _check_values(z: Tensor, edit: PreparedEdit) -> None:
    ordered = edit.index.sort().values
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise ValueError(f"index must hold distinct neurons, got {int(repeated[0])} twice")
    if len(ordered) and not 0 <= int(ordered[0]) <= int(ordered[-1]) < z.shape[2]:
        raise ValueError(
            f"index must lie in 0..{z.shape[2] - 1} (z has {z.shape[2]} neurons), "
            f"got {int(ordered[0])}..{int(ordered[-1])}"
        )
    for name, value in (("a", edit.a), ("b", edit.b)):
        if not value.isfinite().all():
            at = int(value.isfinite().int().argmin())
            raise ValueError(f"{name} must be finite, got {value[at].item()} for entry {at}")


def _edit_reference(z: Tensor, out: Tensor, edit: PreparedEdit, mask: Tensor | None) -> Tensor:
    """Say it in float64, one activation at a time."""
    out.copy_(z)
    for k, neuron in enumerate(edit.index.tolist()):
        a, b = float(edit.a[k]), float(edit.b[k])
        for row, token in product(range(z.shape[0]), range(z.shape[1])):
            x = float(z[row, token, neuron])
            real = mask is None or bool(mask[row, token])
            if edit.window is not None:
                low, high = edit.window
                real = real and bool(low[k] <= x <= high[k])
            if real:
                out[row, token, neuron] = a * x + b if a else b
    return out


def _edit_cpu(z: Tensor, out: Tensor, edit: PreparedEdit, mask: Tensor | None) -> Tensor:
    """Gather the columns, map them, copy them back; differentiable where ``out`` is a clone."""
    # gather and index_copy_ are faster than brackets, in any dtype
    shape = (*z.shape[:2], len(edit.index))
    constant = edit.b.to(z.dtype).expand(shape)
    clamp = edit.n_clamped == len(edit.index)
    if clamp and edit.window is None and mask is None:
        return out.index_copy_(2, edit.index, constant)
    before = z.gather(2, edit.index.expand(shape))
    after = constant if clamp else (before * edit.a).add_(edit.b).to(z.dtype)
    if edit.n_clamped and not clamp:
        after = torch.where(edit.a == 0, constant, after)
    if edit.window is not None:
        low, high = edit.window
        after = torch.where((before >= low) & (before <= high), after, before)
    if mask is not None:
        after = torch.where(mask[:, :, None], after, before)
    return out.index_copy_(2, edit.index, after)


def _edit_triton(z: Tensor, out: Tensor, edit: PreparedEdit, mask: Tensor | None) -> Tensor:
    from .backend_triton import launch_edit

    launch_edit(z, out, edit, mask)
    return out


_EDIT = {"triton": _edit_triton, "cpu": _edit_cpu, "reference": _edit_reference}
