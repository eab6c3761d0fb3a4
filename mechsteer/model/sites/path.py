"""The direct path of a write: from where it is added to the unembedding, past all that reacts.

A neuron adds its row of ``W_out`` to the output of its MLP, a latent of an autoencoder its own to
the residual stream. What of it becomes logits right away goes through a norm after the MLP (Gemma 2
and 3, OLMo 2 and 3, GLM 4, EXAONE 4), multipliers of the residual stream (Granite, Doge), norms on
the stream itself (BART, OPT 350M), the final norm, and what lies between that and the unembedding
(OPT 350M projects). Nothing here goes by names: the model itself runs on the write alone, so
whatever it does to it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.errors import ModelError
from mechsteer.model.hooks import undisturbed
from mechsteer.model.interface import Model
from mechsteer.model.linear import features, is_norm, own
from mechsteer.model.sites.isolation import first_numbers, instead, silence
from mechsteer.model.sites.points import HookSite

_TOKEN = 2  # any will do
_EXPERTS = 3  # dimensions of a parameter that holds the weights of several experts


@torch.inference_mode()
def direct_path(
    model: Model,
    point: HookSite,
    directions: Float[Tensor, "direction d_model"],
    *,
    row: int | None = None,
) -> Float[Tensor, "direction width"]:
    """What reaches the unembedding of directions that the MLP of a hook point writes.

    One token runs with each direction for the output of the down-projection, 0 for the residual
    stream before the block and for what every other linear module and the experts of a mixture
    give, and each norm f replaced by its odd part ``(f(x) - f(-x)) / 2``: its gain and centring
    act, its bias cancels, and a direction keeps its own size's share of the divisor, which would be
    the stream's. So a result is known up to a positive factor.

    Args:
        model: one with an unembedding behind the point's stack.
        point: of a layer with one down-projection, or of any where a row is given.
        directions: the negated direction gives the negated result.
        row: of the residual stream, 0 the embedding and l what block l gives: directions are added
            there instead.

    Raises:
        ModelError: the unembedding is not run.
    """
    seen: list[Tensor] = []
    head = model.original_model.get_output_embeddings()
    stack = model.stack(point.stack)
    blocks = [_plain(block) for block in stack.blocks]
    writes = directions[:, None]  # a single token each
    with undisturbed(model), ExitStack() as scope:
        if row is None:
            given = _by_mlp(blocks, point.layer, stack.blocks[point.layer].mlp, writes)
        else:
            given = _in_stream(blocks, row, writes)
        hooks = [
            *given,
            head.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone())),
            *_odd(model),
        ]
        for hook in hooks:
            scope.callback(hook.remove)
        ids = torch.full((len(directions), 1), _TOKEN, device=model.input_device)
        model.run(ids, torch.ones_like(ids))
    if len(seen) != 1:
        raise ModelError(f"{model.cfg.architecture} runs its unembedding {len(seen)} times")
    return seen[0][:, -1].float()


def _by_mlp(blocks: list[nn.Module], layer: int, mlp: Any, writes: Tensor) -> Iterator[Any]:
    """Hooks after which a block's down-projection gives this, and nothing else gives anything."""
    down = getattr(mlp, "out", None) or mlp.dense_out
    outputs = {down, own(down)}
    yield _entering(blocks[layer], torch.zeros_like(writes))
    yield from _silenced(blocks, outputs)
    yield from (part.register_forward_hook(silence(writes)) for part in outputs)


def _in_stream(blocks: list[nn.Module], row: int, writes: Tensor) -> Iterator[Any]:
    """Hooks after which this is a row of the residual stream, and no block adds anything."""
    yield from _silenced(blocks, set())
    if row:
        yield blocks[row - 1].register_forward_hook(silence(writes))
    else:
        yield _entering(blocks[0], writes)


def _entering(block: nn.Module, x: Tensor) -> Any:
    return block.register_forward_pre_hook(instead(x), with_kwargs=True)


def _plain(block: Any) -> nn.Module:
    found: nn.Module = block if isinstance(block, nn.Module) else block.original_component
    return found


def _silenced(blocks: list[nn.Module], kept: set[Any]) -> Iterator[Any]:
    """Hooks after which no linear module and no expert of a block adds anything."""
    for module in {part for block in blocks for part in block.modules()} - kept:
        experts = any(p is not None and p.ndim >= _EXPERTS for p in module._parameters.values())
        if features(module) is not None or (experts and module not in blocks):
            yield module.register_forward_hook(silence(None))


def _odd(model: Model) -> Iterator[Any]:
    """Hooks that leave of every norm its odd part."""
    from transformer_lens.model_bridge.generalized_components.normalization import (
        NormalizationBridge,
    )

    busy: list[nn.Module] = []  # norms that run on the negated stream just now

    def hook(module: Any, args: Any, kwargs: dict[str, Any], out: Any) -> Any:
        x = first_numbers(args, kwargs)
        if busy or x is None or not isinstance(out, Tensor):
            return out
        busy.append(module)
        try:
            given = (-arg if arg is x else arg for arg in args)
            named = {name: -arg if arg is x else arg for name, arg in kwargs.items()}
            return (out - module.forward(*given, **named)) / 2
        finally:
            busy.pop()

    inside: set[nn.Module] = set()
    for module in model.original_model.modules():  # what holds another comes first
        if module not in inside and (is_norm(module) or isinstance(module, NormalizationBridge)):
            inside |= set(module.modules())
            yield module.register_forward_hook(hook, with_kwargs=True)
