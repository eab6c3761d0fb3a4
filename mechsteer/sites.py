"""Where neurons live in a model: hook points of every layer, checked against the weights."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Any

import torch
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.hooks import read

SITES = {
    "post": "the input of each MLP's down-projection: act(gate)·up where the MLP is gated",
    "linear": "the output of every linear module of each MLP: gate, up and down",
}
# how TransformerLens's canonical name ends when an alias leads to the right activation
_CANONICAL = {
    "post": (".out.hook_in", ".dense_out.hook_in"),
    "gate": (".gate.hook_out",),
    "up": (".in.hook_out",),
    "down": (".out.hook_out",),
}


@dataclass(frozen=True)
class HookSite:
    """One hook point that holds neurons: ``("post", 3, "blocks.3.mlp.hook_post", 768)``."""

    component: str
    layer: int
    hook: str
    width: int


@dataclass(frozen=True)
class Site:
    """All neurons of one kind in a model, numbered flat in the order of ``points``, layer-major.

    >>> site = Site("post", (HookSite("post", 0, "a", 3), HookSite("post", 1, "b", 5)))
    >>> site.n_neurons, site.offsets, site.locate(4)
    (8, (0, 3), ('post', 1, 1))
    """

    name: str
    points: tuple[HookSite, ...]

    @property
    def n_neurons(self) -> int:
        """Number of neurons of all points together."""
        return sum(point.width for point in self.points)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Flat number of the first neuron of each point."""
        return (0, *accumulate(point.width for point in self.points))[:-1]

    def locate(self, index: int) -> tuple[str, int, int]:
        """Component, layer and neuron of a flat number.

        Raises:
            SiteError: the site has no such neuron.
        """
        if not 0 <= index < self.n_neurons:
            raise SiteError(f"expected a neuron from 0 to {self.n_neurons - 1}, got {index}")
        place = bisect_right(self.offsets, index) - 1
        point = self.points[place]
        return point.component, point.layer, index - self.offsets[place]


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


def find_site(model: Any, name: str = "post") -> Site:
    """Find the neurons of a model and verify them on every layer.

    A hook point is taken when the name TransformerLens resolves it to is that of the wanted
    activation; its width is read off the weights (``cfg.d_mlp`` is wrong for some architectures).

    Args:
        model: a TransformerBridge.
        name: ``"post"`` or ``"linear"``.

    Raises:
        SiteError: unknown site, or a layer whose neurons cannot be read: a mixture of experts, a
            block without MLP, an encoder-decoder.
    """
    layers, points = _layers(model, name), model.hook_dict
    found = (_points(model.blocks[layer], points, name, layer) for layer in layers)
    return Site(name, tuple(chain.from_iterable(found)))


def residual_points(model: Any) -> tuple[HookSite, ...]:
    """Rows of the residual stream: the embedding (0), after block l (l), after the final norm.

    Models that normalise at the end of each block have no final norm (what TransformerLens calls
    ``ln_final`` in BERT is part of its prediction head): there the last block's output, which is
    normalised, stands for it too, under its other name.

    Raises:
        SiteError: the model has no single stack of blocks.
    """
    layers = _layers(model, "post")
    blocks = [f"blocks.{layer}.hook_resid_post" for layer in layers]
    final = "ln_final.hook_out" if has_final_norm(model) else f"blocks.{layers[-1]}.hook_out"
    hooks = enumerate(("blocks.0.hook_resid_pre", *blocks, final))
    return tuple(HookSite("residual", row, hook, int(model.cfg.d_model)) for row, hook in hooks)


def site_table(model: Any, name: str = "post") -> tuple[SiteRow, ...]:
    """Check a site on every layer, refused ones included, with the widths one token really has.

    Raises:
        SiteError: unknown site, or no single stack of blocks.
    """
    rows: list[SiteRow] = []
    found: list[HookSite] = []
    points = model.hook_dict  # a property that TransformerLens rebuilds at each access
    for layer in _layers(model, name):
        try:
            found += _points(model.blocks[layer], points, name, layer)
        except SiteError as refusal:
            rows.append(SiteRow(name, layer, f"blocks.{layer}.mlp", "", None, None, str(refusal)))
    widths = _observed_widths(model, found)
    rows += [_row(point, points[point.hook].name, widths[point.hook]) for point in found]
    return tuple(sorted(rows, key=lambda row: row.layer))


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


def _layers(model: Any, name: str) -> range:
    if name not in SITES:
        raise SiteError(f"unknown site {name!r}: expected {' or '.join(map(repr, SITES))}")
    if not hasattr(model, "blocks"):
        raise SiteError(
            f"{model.cfg.architecture} has no single stack of blocks (encoder-decoders have two): "
            "expected a decoder or an encoder"
        )
    return range(len(model.blocks))


def _points(block: Any, points: Mapping[str, Any], name: str, layer: int) -> Iterator[HookSite]:
    """The points of one layer, each leading to the right activation of the right width."""
    post = points.get(f"blocks.{layer}.mlp.hook_post")
    if post is None:
        raise SiteError(f"layer {layer} has no MLP whose neurons can be read")
    if post.name.endswith("mlp.hook_out"):
        raise SiteError(
            f"layer {layer} is a mixture of experts: its hook_post is the block's output, not "
            "neurons, and TransformerLens has no hook inside the experts"
        )
    for component, alias, width in _components(block.mlp, name, layer):
        hook = f"blocks.{layer}.{alias}"
        canonical = points[hook].name if hook in points else "nothing"
        # in compatibility mode a hook point answers to its alias
        if not canonical.endswith((*_CANONICAL[component], alias)):
            raise SiteError(f"{hook} leads to {canonical}, which is not the {component} activation")
        yield HookSite(component, layer, hook, width)


def _components(mlp: Any, name: str, layer: int) -> list[tuple[str, str, int]]:
    """Component, alias and width by the weights of what a site needs in one layer."""
    w_in, w_gate, w_out = (getattr(mlp, weight, None) for weight in ("W_in", "W_gate", "W_out"))
    if w_in is None or w_out is None or w_in.shape[1] != w_out.shape[0]:
        shapes = [None if w is None else tuple(w.shape) for w in (w_in, w_out)]
        raise SiteError(
            f"layer {layer}: expected an up-projection [d_model, neuron] and a down-projection "
            f"[neuron, d_model], got {shapes}: packed or quantised weights cannot be verified"
        )
    if name == "post":
        return [("post", "mlp.hook_post", w_out.shape[0])]
    up = ("up", "mlp.hook_pre" if w_gate is None else "mlp.hook_pre_linear", w_in.shape[1])
    gate = [] if w_gate is None else [("gate", "mlp.hook_pre", w_gate.shape[1])]
    return [*gate, up, ("down", "mlp.out.hook_out", w_out.shape[1])]


def has_final_norm(model: Any) -> bool:
    """Whether a norm stands between the last block and the unembedding."""
    place = getattr(getattr(model, "ln_final", None), "name", None)
    return place is not None and not place.startswith(("cls.", "lm_head."))


@torch.inference_mode()
def _observed_widths(model: Any, points: list[HookSite]) -> dict[str, int]:
    """Width of each hook point in a forward pass over a single token."""
    widths: dict[str, int] = {}

    def reader(hook: str) -> Any:
        return lambda z: widths.__setitem__(hook, z.shape[-1])

    token = torch.zeros(1, 1, dtype=torch.long, device=next(model.parameters()).device)
    if points:
        read(model, token, torch.ones_like(token), {p.hook: reader(p.hook) for p in points})
    return widths


def _row(point: HookSite, canonical: str, width: int) -> SiteRow:
    verdict = "ok" if width == point.width else f"is {width} wide, the weights say {point.width}"
    return SiteRow(point.component, point.layer, point.hook, canonical, width, point.width, verdict)
