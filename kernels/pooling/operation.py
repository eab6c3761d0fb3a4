"""Pool the activations of each sentence over its real tokens, written so that scoring reads rows.

The result is the transpose of contiguous ``[neuron, sentence]`` memory. Floor: one read of the real
tokens' activations, one write of ``neuron x sentence`` values per pooling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..common.backends import DTYPES, Backend, ChosenBackend, choose_backend
from ..common.checks import plain_booleans

__all__ = ["POOLINGS", "Pooling", "pool_tokens"]

Pooling = Literal["max", "mean", "last"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def pool_tokens(
    z: Float[Tensor, "batch token neuron"],
    mask: Bool[Tensor, "batch token"],
    *,
    how: Pooling | Sequence[Pooling] = "max",
    out: Tensor | Sequence[Tensor] | None = None,
    backend: Backend = "auto",
) -> Tensor | tuple[Tensor, ...]:
    r"""Pool activations over the real tokens of each sentence.

    $\max_{t \in m_b} z_{btn}$, $\frac{1}{|m_b|} \sum_{t \in m_b} z_{btn}$ and $z_{b\,\max(m_b)\,n}$
    for ``"max"``, ``"mean"`` and ``"last"``, where $m_b$ are the tokens whose mask is true, in any
    pattern. Several are computed in one read of ``z``.

    NaN at a real token makes that neuron's maximum and mean NaN (scoring then refuses the column);
    whatever stands at padding is ignored. The result carries no gradient.

    Args:
        z: Activations, bfloat16, float16 or float32, any strides.
        mask: True at real tokens; may live on the CPU while ``z`` is on a GPU.
        how: ``"max"``, ``"mean"``, ``"last"``, or several of them.
        out: Where to write, one ``[neuron, batch]`` tensor per pooling, of any strides: some
            columns of a ``[neuron, sentence]`` buffer, say. ``max`` and ``last`` have the dtype of
            ``z``; ``mean`` is float32, accumulated in float32 and finite for all
            finite activations.
        backend: ``"auto"``, ``"triton"``, ``"cpu"`` or ``"reference"``.

    Returns:
        ``[batch, neuron]`` views of ``[neuron, batch]`` memory: one tensor if ``how`` is one name,
        else a tuple in the order of ``how``.

    Raises:
        ValueError: If a sentence has no real token (its row is named), or a shape, dtype, device or
            name does not fit.

    Example:
        >>> z = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]]])
        >>> pool_tokens(z, torch.tensor([[True, True, False]])).tolist()
        [[3.0, -2.0]]
    """
    hows = (how,) if isinstance(how, str) else tuple(how)
    _check(z, mask, hows)
    outs = _buffers(z, hows, (out,) if isinstance(out, Tensor) else out)
    pool = _backend(choose_backend(backend, z))
    if z.numel():
        pool(z.detach(), plain_booleans(mask), dict(zip(hows, outs, strict=True)))
    views = tuple(buffer.T for buffer in outs)
    return views[0] if isinstance(how, str) else views


def _check(z: Tensor, mask: Tensor, hows: tuple[str, ...]) -> None:
    if z.ndim != 3 or z.dtype not in DTYPES:
        raise ValueError(
            "z must be [batch, token, neuron] of bfloat16, float16 or float32, "
            f"got {list(z.shape)} of {z.dtype}"
        )
    if mask.dtype != torch.bool or mask.shape != z.shape[:2]:
        raise ValueError(
            f"mask must be bool of shape {list(z.shape[:2])} ([batch, token] of z), "
            f"got {list(mask.shape)} of {mask.dtype}"
        )
    if not hows or set(hows) - set(POOLINGS) or len(set(hows)) < len(hows):
        raise ValueError(f"how must be distinct names out of {', '.join(POOLINGS)}, got {hows}")
    empty = (~mask.any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"row {empty[0]} of mask has no real token ({len(empty)} such rows): "
            "nothing to pool, drop the sentence or correct its mask"
        )


def _buffers(z: Tensor, hows: tuple[str, ...], out: Sequence[Tensor] | None) -> tuple[Tensor, ...]:
    """One ``[neuron, batch]`` tensor per pooling: the caller's, checked, or new ones."""
    shape = (z.shape[2], z.shape[0])
    dtypes = [torch.float32 if how == "mean" else z.dtype for how in hows]
    if out is None:
        return tuple(torch.empty(shape, dtype=dtype, device=z.device) for dtype in dtypes)
    if len(out) != len(hows):
        raise ValueError(f"out must hold one tensor for each of {hows}, got {len(out)}")
    for how, dtype, buffer in zip(hows, dtypes, out, strict=True):
        if buffer.shape != shape or buffer.dtype != dtype or buffer.device != z.device:
            raise ValueError(
                f"out for {how!r} must be [neuron, batch] {list(shape)} of {dtype} on {z.device}, "
                f"got {list(buffer.shape)} of {buffer.dtype} on {buffer.device}"
            )
    return tuple(out)


def _backend(chosen: ChosenBackend) -> Callable[[Tensor, Tensor, Mapping[str, Tensor]], None]:
    """What writes every pooling of ``z`` to its ``[neuron, batch]`` tensor."""
    if chosen == "triton":
        from .backend_triton import pool as pool_triton

        return pool_triton
    if chosen == "reference":
        from .backend_reference import pool as pool_reference

        return pool_reference
    from .backend_cpu import pool

    return pool
