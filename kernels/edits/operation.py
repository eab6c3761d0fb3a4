"""Edit chosen neurons of a layer: ``z ← a·z + b``, one launch.

Floor: in place, one read and one write of the edited columns; out of place, of the whole of ``z``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.backends import DTYPES, Backend, ChosenBackend, choose_backend
from ..common.checks import plain_booleans
from .coefficients import Coefficients

__all__ = ["PreparedEdit", "edit_neurons"]


@dataclass(frozen=True)
class PreparedEdit(Coefficients):
    """An edit made once and applied often; the arguments are those of `edit_neurons`.

    What depends on the edit alone is found once: whether its shapes fit, its bounds, its clamps.
    The caller vouches for distinct, valid ``index`` and finite ``a`` and ``b`` as by ``checked``.

    Raises:
        ValueError: If a shape or dtype does not fit.

    Example:
        >>> clamp = PreparedEdit(torch.tensor([1]), torch.zeros(1), torch.ones(1))
        >>> clamp.apply(torch.tensor([[[5.0, 6.0, 7.0]]])).tolist()
        [[[5.0, 1.0, 7.0]]]
    """

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
        chosen = choose_backend("cpu" if backend == "auto" and needs_gradient else backend, z)
        if needs_gradient and (inplace or chosen == "triton"):
            raise ValueError(
                "z needs a gradient and none passes an edit in place or in Triton: "
                "run under torch.no_grad(), or edit out of place with backend='auto'"
            )
        if inplace and any(n > 1 and s == 0 for n, s in zip(z.shape, z.stride(), strict=True)):
            raise ValueError("z is expanded, its elements share memory: edit it out of place")
        out = z if inplace else z.clone() if chosen == "cpu" else torch.empty_like(z)
        real = None if mask is None else plain_booleans(mask).to(z.device)
        return _backend(chosen)(z, out, self, real) if z.numel() else out


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
    lies within no bounds. Everything else keeps its bits. No neurons (k = 0) change nothing.

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


def _backend(
    chosen: ChosenBackend,
) -> Callable[[Tensor, Tensor, Coefficients, Tensor | None], Tensor]:
    """What writes the edited ``z`` to ``out`` and returns it."""
    if chosen == "triton":
        from .backend_triton import edit as edit_triton

        return edit_triton
    if chosen == "reference":
        from .backend_reference import edit as edit_reference

        return edit_reference
    from .backend_cpu import edit

    return edit
