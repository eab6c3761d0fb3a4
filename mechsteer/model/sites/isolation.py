"""Blocks run apart from each other: on inputs of their own, without norms, with parts silenced."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.errors import SiteError
from mechsteer.model.interface import Model
from mechsteer.model.linear import is_norm

SENTENCES, TOKENS = 4, 4

Layer = tuple[str, int]
"""Name of a stack, and number of a block in it."""
Stream = Float[Tensor, "sentence token d_model"]
Rows = Float[Tensor, "sentence token width"]


@dataclass(frozen=True)
class Parts:
    """A block, the modules that give the output of its MLP, and the point its neurons pass.

    ``down`` is the model's own down-projection, ``outputs`` it and what TransformerLens put around.
    """

    block: nn.Module
    down: Any
    outputs: frozenset[nn.Module]
    neurons: Any


@dataclass(frozen=True)
class Given:
    """What a block gets, and what stands for the output of its down-projection and its mixers.

    None is 0.
    """

    block: Stream
    down: Stream | None = None
    mixed: Stream | None = None


@dataclass
class Seen:
    """What a block returned, and what its neurons, its down-projection and all modules did.

    ``calls`` has what each module inside got and returned, where that is one row a token.
    """

    returned: Stream | None = None
    neurons: Tensor | None = None
    written: Tensor | None = None
    calls: dict[nn.Module, tuple[Rows, Rows]] = field(default_factory=dict)


@torch.inference_mode()
def run(
    model: Model,
    blocks: Mapping[Layer, Parts],
    given: Mapping[Layer, Given],
    mixers: Mapping[Layer, Collection[nn.Module]],
) -> dict[Layer, Seen]:
    """Run every block on its own input, in one pass over 16 tokens."""
    seen = {at: Seen() for at in blocks}
    ids = torch.arange(2, 2 + SENTENCES * TOKENS, device=model.input_device)
    ids = ids.view(SENTENCES, TOKENS)
    with ExitStack() as scope:
        for at, parts in blocks.items():
            for handle in _isolate(parts, given[at], mixers[at], seen[at]):
                scope.callback(handle.remove)
        model.run(ids, torch.ones_like(ids))
    return seen


def other_tokens(where: str, found: int, given: int) -> SiteError:
    """The refusal of activations of other tokens than a batch has."""
    return SiteError(
        f"{where} has {found} tokens where the batch has {given}: this architecture pads or merges "
        "tokens by itself, so they belong to no word for certain"
    )


def _isolate(
    parts: Parts, given: Given, mixers: Collection[nn.Module], seen: Seen
) -> Iterable[Any]:
    """Hooks that give a block its input, silence its parts, and keep what there was to see."""
    block = parts.block
    yield block.register_forward_pre_hook(instead(given.block), with_kwargs=True)
    yield block.register_forward_hook(lambda m, a, out: setattr(seen, "returned", _first(out)))
    yield parts.neurons.register_forward_hook(lambda m, a, out: setattr(seen, "neurons", out))
    yield parts.down.register_forward_hook(lambda m, a, out: setattr(seen, "written", out))
    for module in block.modules():
        if is_norm(module):
            yield module.register_forward_hook(_pass_on, with_kwargs=True)
        elif module in parts.outputs:
            yield module.register_forward_hook(silence(given.down))
        elif module in mixers:
            yield module.register_forward_hook(silence(given.mixed))
        elif module is not block and module is not parts.neurons:
            yield module.register_forward_hook(_keep(seen), with_kwargs=True)


def _pass_on(module: nn.Module, args: Any, kwargs: dict[str, Any], out: Any) -> Any:
    """A norm's hook that makes it the identity."""
    got = first_numbers(args, kwargs)
    if got is None:
        return out
    return (got.to(out[0].dtype), *out[1:]) if isinstance(out, tuple) else got.to(out.dtype)


def instead(x: Stream) -> Callable[..., Any]:
    """A block's pre-hook that hands it ``x`` for its hidden states."""

    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        old = args[0] if args else kwargs["hidden_states"]
        if old.shape[:2] != x.shape[:2]:
            raise other_tokens(type(module).__name__, old.shape[1], x.shape[1])
        if args:
            return (_like(x, old), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": _like(x, old)}

    return hook


def silence(x: Stream | None) -> Callable[..., Any]:
    """A hook that puts ``x``, or 0, for the first of what a module returns."""

    def hook(module: nn.Module, args: Any, out: Any) -> Any:
        old = _first(out)
        new = torch.zeros_like(old) if x is None else _like(x, old)
        return new if isinstance(out, Tensor) else type(out)([new, *out[1:]])

    return hook


def _keep(seen: Seen) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any], out: Any) -> None:
        got, gave = _by_token(first_numbers(args, kwargs)), _by_token(_first(out))
        if got is not None and gave is not None:
            seen.calls[module] = got, gave

    return hook


def _like(x: Stream, old: Tensor) -> Tensor:
    return x.reshape(old.shape).to(old)


def first_numbers(args: Any, kwargs: dict[str, Any]) -> Tensor | None:
    """The first numbers that a module gets."""
    tensors = (x for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
    return next((x for x in tensors if x.is_floating_point()), None)


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, (tuple, list)) else out


def _by_token(x: Any) -> Rows | None:
    """A copy with one row a token, None of what has none."""
    if not isinstance(x, Tensor) or x.ndim < 2:
        return None
    if x.numel() != SENTENCES * TOKENS * x.shape[-1]:
        return None
    return x.clone().view(SENTENCES, TOKENS, -1)
