"""How often each neuron fires: its gate lets a token through, ``act(gate) > 0``.

This is the statistic of LAPE (Tang et al. 2024, 2402.16438). It is read before the activation
function, as ``hook_pre > 0``: after the gate a closed neuron times a negative up-projection is
positive too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import ModelError, SiteError
from mechsteer.model.hooks import read
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite
from mechsteer.recording.finite import remedy

FIRING = "firing"
_TOKENS = 8  # times the neurons of a layer: thousands of signs to compare


def firing_point(neurons: HookSite) -> HookSite:
    """Where the gates of a layer's ``post`` neurons are read."""
    component = f"{neurons.component.removesuffix(neurons.kind)}{FIRING}"
    return HookSite(component, neurons.layer, _beside(neurons, "hook_pre"), neurons.width)


def fires(pre: Float[Tensor, "sentence token neuron"]) -> Float[Tensor, "sentence token neuron"]:
    """1 where a neuron fires and 0 elsewhere, in the dtype of ``pre``; the mean is a share.

    NaN stays NaN, so that whoever pools it notices.
    """
    return torch.where(pre.isnan(), pre, (pre > 0).to(pre.dtype))


@torch.inference_mode()
def require_firing(model: Model, neurons: Sequence[HookSite]) -> None:
    """Refuse a model whose neurons do not fire exactly where ``hook_pre > 0``.

    That holds for ReLU, GELU, SiLU and whatever else keeps the sign, and is checked on a forward
    pass: the sign of ``hook_post`` is that of ``hook_pre``, times the up-projection's if gated.

    Raises:
        SiteError: neurons that are not of site ``post``, or an activation function that does not
            keep the sign.
        ModelError: hooks are on, which would move what is compared, or an activation is NaN.
    """
    foreign = {point.kind for point in neurons} - {"post"}
    if foreign:
        raise SiteError(f"expected site 'post' to see neurons fire, got components {foreign}")
    points = model.hook_dict.values()
    if any(point.has_hooks("fwd", including_permanent=False) for point in points):
        raise ModelError("hooks are on: leave the steering scope to record how neurons fire")
    signs: dict[str, Tensor] = {}

    def reader(hook: str) -> Any:
        return lambda z: signs.__setitem__(hook, z.sign())

    wanted = [hook for point in neurons for hook in _compared(model, point)]
    ids = torch.arange(_TOKENS, device=model.input_device)[None]
    read(model, ids, torch.ones_like(ids), {hook: reader(hook) for hook in wanted})
    if lost := [hook for hook, sign in signs.items() if sign.isnan().any()]:
        raise ModelError(f"an activation at {lost[0]} is not finite: {remedy(model.dtype)}")
    for point in neurons:
        post, pre, *up = (signs[hook] for hook in _compared(model, point))
        expected = pre * up[0] if up else pre
        if not torch.equal(post * post, post * expected):  # where post is 0 nothing is said
            raise SiteError(
                f"{point.layer_name}: the activation function does not keep the sign, so "
                "hook_pre > 0 is not whether a neuron fires: record without firing"
            )


def _compared(model: Model, point: HookSite) -> tuple[str, ...]:
    gated = getattr(model.stack(point.stack).blocks[point.layer].mlp, "W_gate", None) is not None
    up = (_beside(point, "hook_pre_linear"),) if gated else ()
    return (point.hook, firing_point(point).hook, *up)


def _beside(neurons: HookSite, name: str) -> str:
    """Another hook point of the MLP whose neurons these are."""
    return f"{neurons.hook.removesuffix('hook_post')}{name}"
