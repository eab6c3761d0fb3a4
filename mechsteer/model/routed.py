"""Routed experts run one by one, with their neurons passed on in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mechsteer.errors import SiteError


def own_code(experts: Any) -> Callable[..., Tensor]:
    """The experts' own code, without transformers' choice among implementations."""
    own: Callable[..., Tensor] = type(experts).forward.__wrapped__
    return own


def one_by_one(
    experts: Any,
    hidden: Float[Tensor, "token d_model"],
    index: Int[Tensor, "token choice"],
    weights: Float[Tensor, "token choice"],
    passed: Callable[[Tensor], Tensor],
) -> Float[Tensor, "token d_model"]:
    """Run routed experts, passing the neurons of all of them through ``passed`` in between.

    Source: the loop of transformers' eager implementation (integrations/moe.py).
    """
    chosen = [torch.eq(index.T, e).nonzero(as_tuple=True) for e in range(experts.num_experts)]
    parts = [_neurons(experts, hidden[tokens], e) for e, (_, tokens) in enumerate(chosen)]
    z = hidden.new_zeros(len(hidden), len(parts), parts[0].shape[-1])
    for e, (_, tokens) in enumerate(chosen):
        z[tokens, e] = parts[e]
    z = passed(rearrange(z, "token expert neuron -> token (expert neuron)")).view_as(z)
    out = torch.zeros_like(hidden)
    for e, (choice, tokens) in enumerate(chosen):
        written = _linear(experts, "down_proj", z[tokens, e], e)
        if experts.has_post_expert_norm:
            written = experts.post_expert_norm(written)
        out.index_add_(0, tokens, (written * weights[tokens, choice, None]).to(out.dtype))
    return out


def _neurons(experts: Any, x: Tensor, e: int) -> Tensor:
    if experts.has_gate:
        gated: Tensor = experts._apply_gate(_linear(experts, "gate_up_proj", x, e))
        return gated
    opened: Tensor = experts.act_fn(_linear(experts, "up_proj", x, e))
    return opened


def _linear(experts: Any, name: str, x: Tensor, e: int) -> Tensor:
    weight = getattr(experts, name)[e]
    out = x @ weight if experts.is_transposed else functional.linear(x, weight)
    return out + getattr(experts, f"{name}_bias")[e] if experts.has_bias else out


@torch.inference_mode()
def require_own_output(experts: Any) -> None:
    """Refuse experts that our loop computes differently from their own code.

    Raises:
        SiteError: the outputs differ by more than rounding.
    """
    from accelerate.utils import align_module_device

    down = experts.down_proj
    d_model = down.shape[2 if experts.is_transposed else 1]
    dice = torch.Generator().manual_seed(0)
    hidden = torch.randn(8, d_model, generator=dice).to(down)
    index = torch.rand(8, experts.num_experts, generator=dice).argsort(1)[:, :2].to(down.device)
    weights = torch.rand(index.shape, generator=dice).to(down)
    with align_module_device(experts):  # offloaded weights come for as long
        stock = own_code(experts)(experts, hidden, index, weights)
        ours = one_by_one(experts, hidden, index, weights, lambda z: z)
    bound = 16 * torch.finfo(down.dtype).eps * float(stock.abs().max())
    if not (ours - stock).abs().max() <= bound:
        raise SiteError(
            f"{type(experts).__name__} computes something else than its flags say, so the neurons "
            "of its experts cannot be told for certain"
        )
