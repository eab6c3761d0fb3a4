"""Norms of a bridge that compute nothing for hooks which nobody attached.

TransformerLens runs a model's own norm and, beside it, computes the scale and the normalised stream
for its two hook points inside, whether or not anything hooks them: a tenth of a small model's pass.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

_INSIDE = "_hf_autograd_forward_with_hooks"  # what runs between hook_in and hook_out


def spare_norms(bridge: Any) -> None:
    """Let each norm that runs the model's own module run it alone as long as no hook is inside.

    What a norm returns keeps its bits, hooked or not; norms that TransformerLens rebuilds stay as
    they are.
    """
    from transformer_lens.model_bridge.generalized_components.normalization import (
        NormalizationBridge,
    )

    for norm in bridge.modules():
        if isinstance(norm, NormalizationBridge) and hasattr(type(norm), _INSIDE):
            setattr(norm, _INSIDE, partial(_unwatched, norm))


def _unwatched(norm: Any, x: Tensor) -> Tensor:
    """The model's own norm, or where somebody watches inside, all of it by TransformerLens."""
    if any(map(_watched, (norm.hook_scale, norm.hook_normalized))):
        whole: Tensor = getattr(type(norm), _INSIDE)(norm, x)
        return whole
    out: Tensor = norm.original_component(x)
    return out.to(x.dtype)


def _watched(point: Any) -> bool:
    return bool(
        point.fwd_hooks
        or point.bwd_hooks
        or point._forward_hooks
        or point._forward_pre_hooks
        or point._backward_hooks
        or point._backward_pre_hooks
    )
