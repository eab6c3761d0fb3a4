"""Rows of the residual stream, which sentence embeddings are read from."""

from __future__ import annotations

from mechsteer.model.interface import Model
from mechsteer.model.sites.points import HookSite


def residual_points(model: Model) -> tuple[HookSite, ...]:
    """Rows of the residual stream: the embedding (0), after block l (l), after the final norm.

    Of an encoder-decoder they are those of the encoder. Models that normalise at the end of each
    block have no final norm: there the last block's output, which is normalised, stands for it
    too, under its other name.

    Raises:
        SiteError: the model has no stack of blocks.
    """
    stack = model.stacks[0]
    layers = range(len(stack.blocks))
    blocks = [stack.hook(layer, "hook_resid_post") for layer in layers]
    norm = model.stack(stack.name).norm
    final = f"{norm[0]}.hook_out" if norm else stack.hook(layers[-1], "hook_out")
    hooks = (stack.hook(0, "hook_resid_pre"), *blocks, final)
    component, width = stack.component("residual"), int(model.cfg.d_model)
    return tuple(HookSite(component, row, hook, width) for row, hook in enumerate(hooks))
