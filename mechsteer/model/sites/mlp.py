"""The neurons of one layer's MLP, and those of its experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mechsteer.errors import SiteError
from mechsteer.model.interface import Model
from mechsteer.model.linear import features
from mechsteer.model.mixtures import MIXED, expert_width, has_experts
from mechsteer.model.sites.contribution import unaccounted
from mechsteer.model.sites.mixture_hint import offered
from mechsteer.model.sites.points import HookSite
from mechsteer.model.stacks import Stack

# how TransformerLens's canonical name ends when an alias leads to the right activation
_CANONICAL = {
    "post": (".out.hook_in", ".dense_out.hook_in"),
    "gate": (".gate.hook_out", ".dense_gate.hook_out"),
    "up": (".in.hook_out", ".dense_in.hook_out"),
    "down": (".out.hook_out", ".dense_out.hook_out"),
}


def mlp_points(
    model: Model, stack: Stack, layer: int, kind: str, points: Mapping[str, Any]
) -> Iterator[HookSite]:
    """The points of one layer, each leading to the right activation of the right width.

    Raises:
        SiteError: the layer has none of that kind that can be read.
    """
    post = points.get(stack.hook(layer, "mlp.hook_post"))
    if post is None:
        raise SiteError(f"layer {layer} has no MLP whose neurons can be read")
    block = stack.blocks[layer].original_component
    routed = post.name.endswith("mlp.hook_out")  # TransformerLens reads nothing inside
    mixture = routed or has_experts(block)
    if not mixture and kind not in MIXED:
        if reason := unaccounted(model).get((stack.name, layer)):
            raise SiteError(reason)
        yield from _dense(stack, layer, "post" if kind == "dense" else kind, points)
    elif mixture and kind in ("post", "linear"):
        what = "the block's output, not neurons" if routed else "a part of its neurons, not all"
        raise SiteError(
            f"layer {layer} is a mixture of experts: its hook_post is {what}; "
            f"{offered(stack, lambda other: _is_mixture(stack, other, points))}"
        )
    elif mixture and kind == "shared" and not routed:
        yield from _shared(stack, layer, points)
    elif mixture and kind in MIXED:
        hook = stack.hook(layer, f"mlp.{kind}.hook_post")
        yield HookSite(stack.component(kind), layer, hook, expert_width(model, block, hook))


def _is_mixture(stack: Stack, layer: int, points: Mapping[str, Any]) -> bool:
    routed = canonical_name(points, stack.hook(layer, "mlp.hook_post")).endswith("mlp.hook_out")
    return routed or has_experts(stack.blocks[layer].original_component)


def _shared(stack: Stack, layer: int, points: Mapping[str, Any]) -> Iterator[HookSite]:
    """The neurons beside routed experts, where TransformerLens reads them as a plain MLP's."""
    for point in _dense(stack, layer, "post", points):
        yield replace(point, component=stack.component("shared"))


def _dense(stack: Stack, layer: int, kind: str, points: Mapping[str, Any]) -> Iterator[HookSite]:
    """The points of a layer that is no mixture of experts."""
    for component, alias, width in _components(stack.blocks[layer].mlp, kind, layer):
        hook = stack.hook(layer, alias)
        canonical = points[hook].name if hook in points else "nothing"
        # in compatibility mode a hook point answers to its alias
        if not canonical.endswith((*_CANONICAL[component], alias)):
            raise SiteError(f"{hook} leads to {canonical}, which is not the {component} activation")
        yield HookSite(stack.component(component), layer, hook, width)


def _components(mlp: Any, kind: str, layer: int) -> list[tuple[str, str, int]]:
    """Component, alias and width by the weights of what a site needs in one layer."""
    into, gate, out = (_shape(mlp, name) for name in ("in", "gate", "out"))
    if out is None or (into is not None and into[1] != out[0]):
        raise SiteError(
            f"layer {layer}: expected an up-projection [d_model, neuron] and a down-projection "
            f"[neuron, d_model], got {[into, out]}: packed weights whose modules do not say their "
            "in_features and out_features cannot be verified"
        )
    if kind == "post":
        return [("post", "mlp.hook_post", out[0])]
    if into is None:
        raise SiteError(
            f"layer {layer}: gate and up are one module here, so their outputs are not told apart: "
            "expected site 'post'"
        )
    up = ("up", "mlp.hook_pre" if gate is None else "mlp.hook_pre_linear", into[1])
    gates = [] if gate is None else [("gate", "mlp.hook_pre", gate[1])]
    name = "out" if hasattr(mlp, "out") else "dense_out"  # beside mixtures of experts
    return [*gates, up, ("down", f"mlp.{name}.hook_out", out[1])]


def canonical_name(points: Mapping[str, Any], hook: str) -> str:
    """The canonical name of a hook point; those that mechsteer makes are there while read."""
    return str(points[hook].name) if hook in points else hook


def _shape(mlp: Any, name: str) -> tuple[int, int] | None:
    """Inputs and outputs of a linear module of an MLP: what it says, else what its weight shows."""
    module = getattr(mlp, name, None)
    said = features(getattr(module, "original_component", module))
    weight = None if said else getattr(mlp, f"W_{name}", None)
    return said if weight is None else (int(weight.shape[0]), int(weight.shape[1]))
