"""Edits made with nothing but PyTorch's own hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

CAUSAL = ("llama", "gpt2", "bloom", "xglm")
FAMILIES = (*CAUSAL, "bert", "xlmr")


@contextmanager
def plain_hooks(model: Any, edits: Mapping[int, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Map rows of the residual stream through hooks on the wrapped modules themselves."""
    blocks = [block.original_component for block in model.blocks]
    handles = []
    for row, edit in edits.items():
        if row == 0:
            handle = blocks[0].register_forward_pre_hook(_before(edit), with_kwargs=True)
        elif row <= len(blocks):
            handle = blocks[row - 1].register_forward_hook(_after(edit))
        else:  # what the final norm gives, the unembedding takes
            unembedding = model.unembed.original_component
            handle = unembedding.register_forward_pre_hook(_before(edit), with_kwargs=True)
        handles.append(handle)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _before(edit: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (edit(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": edit(kwargs["hidden_states"])}

    return hook


def _after(edit: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    def hook(module: Any, args: Any, out: Any) -> Any:
        return (edit(out[0]), *out[1:]) if isinstance(out, tuple) else edit(out)

    return hook
