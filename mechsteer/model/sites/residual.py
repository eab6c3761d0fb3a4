"""Rows of the residual stream, which sentence embeddings are read from, and their dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mechsteer.errors import SiteError
from mechsteer.model.derived import same_as_input
from mechsteer.model.interface import Model
from mechsteer.model.sites.points import HookSite
from mechsteer.model.stacks import Stack


def residual_points(model: Model, stack: Stack | None = None) -> tuple[HookSite, ...]:
    """Rows of the residual stream: the embedding (0), after block l (l), after the final norm.

    Of an encoder-decoder they are those of the encoder by default. Models that normalise at the end
    of each block have no final norm: there the last block's output, which is normalised, stands for
    it too, under its other name.

    Raises:
        SiteError: the model has no stack of blocks.
    """
    stack = model.stacks[0] if stack is None else stack
    layers = range(len(stack.blocks))
    blocks = [stack.hook(layer, "hook_resid_post") for layer in layers]
    norm = model.stack(stack.name).norm
    final = f"{norm[0]}.hook_out" if norm else stack.hook(layers[-1], "hook_out")
    hooks = (stack.hook(0, "hook_resid_pre"), *blocks, final)
    component, width = stack.component("residual"), int(model.cfg.d_model)
    return tuple(HookSite(component, row, hook, width) for row, hook in enumerate(hooks))


def dimensions(
    model: Model, stack: Stack, layer: int, kind: str, points: Mapping[str, Any]
) -> Iterator[HookSite]:
    """The dimensions of the residual stream after a block as neurons, numbered as the rows are.

    Before the first block comes the embedding, row 0; the final norm is no row of this site, since
    no block reads it.

    Raises:
        SiteError: the model has no such hook point.
        ModelError: compatibility mode.
    """
    model.require_raw()
    rows = residual_points(model, stack)
    for row in (*rows[:1], rows[1]) if layer == 0 else (rows[layer + 1],):
        if row.hook not in points:
            raise SiteError(f"{model.cfg.architecture} has no hook point {row.hook}")
        yield HookSite(stack.component(kind), row.layer, same_as_input(row.hook), row.width)
