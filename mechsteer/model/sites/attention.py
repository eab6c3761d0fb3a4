"""Attention as neurons: heads by one number each, and the outputs of its linear modules.

Heads and projections are told apart by TransformerLens; models that are read by plain hooks have
none of these sites.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mechsteer.errors import SiteError
from mechsteer.model.derived import derived_from
from mechsteer.model.derived.heads import FLAT, MEANS, NORMS
from mechsteer.model.interface import Model
from mechsteer.model.linear import features, own
from mechsteer.model.sites.points import HookSite
from mechsteer.model.stacks import Stack

PROJECTIONS = ("q", "k", "v", "o")
_NUMBERS = {"head": NORMS, "head_mean": MEANS}


def attention_points(
    model: Model, stack: Stack, layer: int, kind: str, points: Mapping[str, Any]
) -> Iterator[HookSite]:
    """The points of one layer: ``"head"``, ``"head_mean"`` or ``"attention"``.

    A head's number is read of what the output projection takes. Widths are those of the weights.

    Raises:
        SiteError: the layer has no attention whose heads or projections can be told.
    """
    sizes = {name: _features(stack, layer, name) for name in PROJECTIONS}
    out = sizes["o"]
    part = _part(stack, layer)
    base = stack.hook(layer, f"{part}.o.hook_in")
    if out is None or base not in points:
        raise SiteError(
            f"layer {layer} of {model.cfg.architecture} has no attention whose heads and "
            f"projections are told apart: site {kind!r} needs a TransformerBridge that reads them"
        )
    if kind == "attention":
        for name, shape in sizes.items():
            hook = stack.hook(layer, f"{part}.{name}.hook_out")
            if shape is None or hook not in points:
                raise SiteError(f"layer {layer} has no {name} projection of its own to be read")
            yield HookSite(stack.component(name), layer, derived_from(hook, FLAT), shape[1])
        return
    heads = int(getattr(model.cfg, "n_heads", 0) or 0)
    if heads < 1 or out[0] % heads:
        raise SiteError(
            f"layer {layer}: {heads} heads by the configuration, and an output projection that "
            f"takes {out[0]} numbers, do not fit"
        )
    hook = derived_from(base, f"{_NUMBERS[kind]}:{heads}")
    yield HookSite(stack.component(kind), layer, hook, heads)


def projection(stack: Stack, layer: int, name: str) -> Any:
    """One of ``PROJECTIONS`` of a layer, the model's own module; None where there is none."""
    part = getattr(stack.blocks[layer], _part(stack, layer), None)
    return own(getattr(part, name, None))


def _part(stack: Stack, layer: int) -> str:
    """What a block calls its attention to its own tokens, beside that to an encoder's."""
    return "attn" if hasattr(stack.blocks[layer], "attn") else "self_attn"


def _features(stack: Stack, layer: int, name: str) -> tuple[int, int] | None:
    return features(projection(stack, layer, name))
