"""Neurons of a mixture of experts: hook points inside its experts, where TransformerLens has none.

The routed experts of a layer are one hook point ``[sentence, token, neuron]``: neuron j of expert e
is number ``e · width + j``. Where a token is not routed to an expert, that expert's neurons are 0
and an edit of them does nothing. The shared expert, which sees every token, is a point of its own.

While the point of routed experts is hooked, its layer runs expert by expert, as transformers' eager
implementation does; else it runs as it did before, bit for bit.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mechsteer.errors import SiteError
from mechsteer.model.interface import Model
from mechsteer.model.plain import features

_SHARED = ("shared_expert", "shared_experts")
_OURS = "mechsteer+"  # before the name of the implementation that runs where nobody looks


class Tap:
    """Passes what the experts of a block compute through a hook point, sentence by token."""

    def __init__(self, block: nn.Module, point: Any) -> None:
        self.point = point
        self._shape = torch.Size()
        block.register_forward_pre_hook(self._remember, with_kwargs=True)

    def _remember(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self._shape = (args[0] if args else kwargs["hidden_states"]).shape[:2]

    def __call__(self, z: Tensor) -> Tensor:
        """The hook point's answer, in the shape of ``z``: experts see a batch as one row."""
        passed: Tensor = self.point(z.reshape(*self._shape, -1))
        return passed.reshape(z.shape)


_taps: WeakKeyDictionary[nn.Module, Tap] = WeakKeyDictionary()


def tap(model: Model, block: nn.Module, name: str, kind: str) -> int:
    """Put a hook point into the experts of a block, unless it is there; the number of its neurons.

    Args:
        model: a TransformerBridge.
        block: the module of the block.
        name: of the hook point.
        kind: ``"experts"`` or ``"shared"``.

    Raises:
        SiteError: the block has no such experts, or theirs cannot be read.
    """
    place, width = shared_projection(block) if kind == "shared" else _routed(block)
    if place in _taps:
        return width
    if kind == "experts":
        _verify(place)
        _take_over(place.config)
    tapped = _taps[place] = Tap(block, model.add_hook_point(name))
    if kind == "shared":
        place.register_forward_pre_hook(lambda module, args: (tapped(args[0]), *args[1:]))
    return width


def shared_projection(block: nn.Module) -> tuple[Any, int]:
    """The down-projection of the shared expert, and its inputs."""
    parts = [
        (module, shape[0])
        for name, module in _plain_modules(block)
        if set(_SHARED) & set(name.split(".")) and "down_proj" in name
        if (shape := features(module)) is not None
    ]
    if len(parts) != 1:
        raise SiteError(f"{len(parts)} shared experts with a linear down-projection, expected one")
    return parts[0]


def _routed(block: nn.Module) -> tuple[Any, int]:
    """The module of the routed experts, and the number of neurons of all of them together."""
    found: list[Any] = [
        module
        for _, module in _plain_modules(block)
        if hasattr(module, "has_gate") and getattr(getattr(module, "down_proj", 0), "ndim", 0) == 3
    ]
    if len(found) != 1:
        raise SiteError(
            f"{len(found)} modules of routed experts that transformers runs through its table of "
            "experts functions, expected one: their neurons cannot be read"
        )
    experts = found[0]
    return experts, experts.num_experts * experts.down_proj.shape[1 if experts.is_transposed else 2]


def _plain_modules(block: nn.Module) -> list[tuple[str, nn.Module]]:
    """The model's own modules, without TransformerLens's around them, which answer for them."""
    everything = block.named_modules()
    return [(name, m) for name, m in everything if not hasattr(m, "original_component")]


def _take_over(config: Any) -> None:
    """Have transformers ask us first how to run the experts of a model."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    usual = str(config._experts_implementation)  # its only name
    if not usual.startswith(_OURS):
        ALL_EXPERTS_FUNCTIONS.register(f"{_OURS}{usual}", partial(_run, usual))
        config._experts_implementation = f"{_OURS}{usual}"


def _run(usual: str, experts: Any, hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Experts as they ran before, or one by one where their neurons are hooked."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    tapped = _taps.get(experts)
    if tapped is not None and tapped.point.has_hooks("fwd"):
        return one_by_one(experts, hidden, index, weights, tapped)
    stock = ALL_EXPERTS_FUNCTIONS.get_interface(usual, type(experts).forward.__wrapped__)
    out: Tensor = stock(experts, hidden, index, weights)
    return out


def one_by_one(
    experts: Any,
    hidden: Float[Tensor, "token d_model"],
    index: Int[Tensor, "token choice"],
    weights: Float[Tensor, "token choice"],
    tapped: Any,
) -> Float[Tensor, "token d_model"]:
    """Run routed experts, passing the neurons of all of them through ``tapped`` in between.

    Source: the loop of transformers' eager implementation (integrations/moe.py).
    """
    chosen = [torch.eq(index.T, e).nonzero(as_tuple=True) for e in range(experts.num_experts)]
    parts = [_neurons(experts, hidden[tokens], e) for e, (_, tokens) in enumerate(chosen)]
    z = hidden.new_zeros(len(hidden), len(parts), parts[0].shape[-1])
    for e, (_, tokens) in enumerate(chosen):
        z[tokens, e] = parts[e]
    z = tapped(rearrange(z, "token expert neuron -> token (expert neuron)")).view_as(z)
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
def _verify(experts: Any) -> None:
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
        stock = type(experts).forward.__wrapped__(experts, hidden, index, weights)
        ours = one_by_one(experts, hidden, index, weights, lambda z: z)
    bound = 16 * torch.finfo(down.dtype).eps * float(stock.abs().max())
    if not (ours - stock).abs().max() <= bound:
        raise SiteError(
            f"{type(experts).__name__} computes something else than its flags say, so the neurons "
            "of its experts cannot be told for certain"
        )
