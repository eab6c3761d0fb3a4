"""Which sites a mixture of experts has instead of those that were asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from mechsteer.errors import SiteError
from mechsteer.model.mixtures import has_experts, shared_projection
from mechsteer.model.stacks import Stack


def offered(stack: Stack, is_mixture: Callable[[int], bool]) -> str:
    """What to ask for, in words: only sites that at least one layer of a stack has.

    Args:
        stack: of a mixture of experts.
        is_mixture: of a layer, whether it is one.
    """
    layers = range(len(stack.blocks))
    blocks = [stack.blocks[layer].original_component for layer in layers if is_mixture(layer)]
    found = {
        "'experts'": any(has_experts(block) for block in blocks),
        "'shared' (the shared expert)": any(_has_shared(block) for block in blocks),
        "'dense' (layers that are no mixture)": len(blocks) < len(layers),
    }
    names = [name for name, there in found.items() if there]
    if not names:
        return "and how transformers runs its experts is not known, so none can be read"
    return f"ask for site {' or '.join(names)}"


def _has_shared(block: nn.Module | Any) -> bool:
    try:
        shared_projection(block)
    except SiteError:
        return False
    return True
