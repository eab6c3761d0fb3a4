"""Find the neurons of a model: hook points of every layer, checked against the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.model.hooks import observed
from mechsteer.model.interface import Model
from mechsteer.model.linear import features
from mechsteer.model.mixtures import MIXED, expert_width, has_experts
from mechsteer.model.sites.contribution import unaccounted
from mechsteer.model.sites.isolation import other_tokens
from mechsteer.model.sites.mixture_hint import offered
from mechsteer.model.sites.points import HookSite, Site
from mechsteer.model.stacks import Stack
from mechsteer.model.wrap import ModelLike, as_model

SITES = {
    "post": "the input of each MLP's down-projection: act(gate)·up where the MLP is gated",
    "linear": "the output of every linear module of each MLP: gate, up and down",
    "dense": "as post, of the layers alone that are no mixture of experts",
    "experts": "as post, of all routed experts of each mixture: 0 where a token is not routed",
    "shared": "as post, of the shared expert of each mixture",
}
# how TransformerLens's canonical name ends when an alias leads to the right activation
_CANONICAL = {
    "post": (".out.hook_in", ".dense_out.hook_in"),
    "gate": (".gate.hook_out", ".dense_gate.hook_out"),
    "up": (".in.hook_out", ".dense_in.hook_out"),
    "down": (".out.hook_out", ".dense_out.hook_out"),
}


@dataclass(frozen=True)
class SiteRow:
    """What ``mechsteer check`` shows of one hook point; ``verdict`` is ``"ok"`` or the refusal."""

    component: str
    layer: int
    hook: str
    canonical: str
    width: int | None
    weight_width: int | None
    verdict: str


def find_site(model: ModelLike, name: str = "post") -> Site:
    """Find the neurons of a model and verify them on every layer.

    A hook point is taken when the name TransformerLens resolves it to is that of the wanted
    activation; its width is read off the weights (``cfg.d_mlp`` is wrong for some architectures).

    An encoder-decoder has neurons in both stacks, the encoder's first. What its decoder reads is
    the same sentence, teacher-forced: see ``mechsteer.model.decoder``.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        name: one of ``SITES``; of one stack alone ``"encoder.post"``, ``"decoder.post"``. A mixture
            of experts has none of site ``"post"``: ``"experts"``, ``"shared"`` and ``"dense"`` name
            what it has, see ``mechsteer.model.mixtures``.

    Raises:
        SiteError: unknown site, or a layer whose neurons cannot be read: a mixture of experts, or a
            block without MLP.
    """
    model = as_model(model)
    kind, stacks = _wanted(model, name)
    blocks = ((stack, layer) for stack in stacks for layer in range(len(stack.blocks)))
    points = model.hook_dict
    found = (_points(model, stack, layer, kind, points) for stack, layer in blocks)
    site = Site(name, tuple(chain.from_iterable(found)))
    if not site.points:
        raise SiteError(f"no layer of {model.cfg.architecture} has neurons of site {name!r}")
    return site


def site_table(model: ModelLike, name: str = "post") -> tuple[SiteRow, ...]:
    """Check a site on every layer, refused ones included, with the widths one token really has.

    Raises:
        SiteError: unknown site.
    """
    model = as_model(model)
    kind, stacks = _wanted(model, name)
    points = model.hook_dict
    rows: list[SiteRow | HookSite] = []
    for stack in stacks:
        for layer in range(len(stack.blocks)):
            try:
                rows += _points(model, stack, layer, kind, points)
            except SiteError as refusal:
                where = stack.component(kind), layer, stack.hook(layer, "mlp")
                rows.append(SiteRow(*where, "", None, None, str(refusal)))
    shapes = observed(model, [row.hook for row in rows if isinstance(row, HookSite)])
    return tuple(
        row if isinstance(row, SiteRow) else _row(row, _name(points, row.hook), shapes[row.hook])
        for row in rows
    )


def require_once(model: Model, points: Iterable[HookSite]) -> None:
    """Refuse hook points that a forward pass runs through more than once, or never.

    A pass over one token, and none for points that were seen to run once before.

    Raises:
        SiteError: blocks are run in a loop, say, so that a neuron has several activations a token.
    """
    known = model.runs_once
    new = [point.hook for point in points if point.hook not in known]
    for hook, shapes in (observed(model, new) if new else {}).items():
        if len(shapes) != 1:
            raise SiteError(
                f"{hook} runs {len(shapes)} times in a forward pass of {model.cfg.architecture}, "
                "so that its neurons have no one activation for a token"
            )
    known.update(new)


def require_width(point: HookSite, z: Tensor) -> None:
    """Refuse an activation that is not as wide as the weights say.

    Raises:
        SiteError: the widths differ.
    """
    if z.ndim != 3 or z.shape[-1] != point.width:
        raise SiteError(
            f"{point.hook} gives {tuple(z.shape)}, expected (sentence, token, {point.width}): "
            "these are not the neurons of this layer"
        )


def require_tokens(point: HookSite, z: Tensor, real: Tensor) -> None:
    """Refuse an activation of other tokens than the batch has.

    Raises:
        SiteError: their number differs.
    """
    if z.shape[:2] != real.shape:
        raise other_tokens(point.hook, z.shape[1], real.shape[1])


def _wanted(model: Model, name: str) -> tuple[str, list[Stack]]:
    """The kind of neurons that a site's name asks for, and of which stacks."""
    one, _, kind = name.rpartition(".")
    if kind not in SITES:
        raise SiteError(f"unknown site {name!r}: expected one of {', '.join(map(repr, SITES))}")
    stacks = model.stacks
    if one and one not in [stack.name for stack in stacks]:
        raise SiteError(f"{model.cfg.architecture} has no stack {one!r}: expected site {kind!r}")
    return kind, [stack for stack in stacks if one in ("", stack.name)]


def _points(
    model: Model, stack: Stack, layer: int, kind: str, points: Mapping[str, Any]
) -> Iterator[HookSite]:
    """The points of one layer, each leading to the right activation of the right width."""
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
    routed = _name(points, stack.hook(layer, "mlp.hook_post")).endswith("mlp.hook_out")
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


def _shape(mlp: Any, name: str) -> tuple[int, int] | None:
    """Inputs and outputs of a linear module of an MLP: what it says, else what its weight shows."""
    module = getattr(mlp, name, None)
    said = features(getattr(module, "original_component", module))
    weight = None if said else getattr(mlp, f"W_{name}", None)
    return said if weight is None else (int(weight.shape[0]), int(weight.shape[1]))


def _name(points: Mapping[str, Any], hook: str) -> str:
    """The canonical name of a hook point; those inside experts are there while they are read."""
    return str(points[hook].name) if hook in points else hook


def _row(point: HookSite, canonical: str, shapes: Sequence[torch.Size]) -> SiteRow:
    width = shapes[0][-1] if shapes else None
    verdict = "ok" if width == point.width else f"is {width} wide, the weights say {point.width}"
    if len(shapes) != 1:
        verdict = f"runs {len(shapes)} times in a pass, so that one neuron has several activations"
    return SiteRow(point.component, point.layer, point.hook, canonical, width, point.width, verdict)
