"""Find the neurons of a model: hook points of every layer, checked against the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.model.hooks import observed
from mechsteer.model.interface import Model
from mechsteer.model.sites.attention import attention_points
from mechsteer.model.sites.isolation import other_tokens
from mechsteer.model.sites.latents import is_latents, latents
from mechsteer.model.sites.mlp import canonical_name, mlp_points
from mechsteer.model.sites.points import HookSite, Site
from mechsteer.model.sites.residual import dimensions
from mechsteer.model.stacks import Stack
from mechsteer.model.wrap import ModelLike, as_model

SITES = {
    "post": "the input of each MLP's down-projection: act(gate)·up where the MLP is gated",
    "linear": "the output of every linear module of each MLP: gate, up and down",
    "dense": "as post, of the layers alone that are no mixture of experts",
    "experts": "as post, of all routed experts of each mixture: 0 where a token is not routed",
    "shared": "as post, of the shared expert of each mixture",
    "residual": "the dimensions of the residual stream: the embedding, and after each block",
    "head": "attention heads, each by the norm of what it gives to the output projection",
    "head_mean": "attention heads, each by the mean of what it gives to the output projection",
    "attention": "the outputs of the attention's linear modules: q, k, v and o",
}
_FINDERS = {
    "residual": dimensions,
    "head": attention_points,
    "head_mean": attention_points,
    "attention": attention_points,
}  # the others lie in MLPs
_PARTS = {
    "residual": "hook_resid_post",
    "head": "attn",
    "head_mean": "attn",
    "attention": "attn",
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


def is_known(name: str) -> bool:
    """Whether a site's name asks for something that there is in some model."""
    return is_latents(name) or name.rpartition(".")[2] in SITES


def find_site(model: ModelLike, name: str = "post") -> Site:
    """Find the neurons of a model and verify them on every layer.

    A hook point is taken when the name TransformerLens resolves it to is that of the wanted
    activation; its width is read off the weights (``cfg.d_mlp`` is wrong for some architectures).

    An encoder-decoder has neurons in both stacks, the encoder's first. What its decoder reads is
    the same sentence, teacher-forced: see ``mechsteer.model.decoder``.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        name: one of ``SITES``, or ``"sae:FOLDER"``, see ``mechsteer.model.sites.latents``; of one
            stack alone ``"encoder.post"``, ``"decoder.post"``. A mixture
            of experts has none of site ``"post"``: ``"experts"``, ``"shared"`` and ``"dense"`` name
            what it has, see ``mechsteer.model.mixtures``.

    Raises:
        SiteError: unknown site, or a layer whose neurons cannot be read: a mixture of experts, or a
            block without MLP; an autoencoder that cannot be read, or of another model.
    """
    model = as_model(model)
    if is_latents(name):
        return Site(name, (latents(model, name),))
    layers = _layers(model, name)
    site = Site(name, tuple(chain.from_iterable(points for *_, points in layers)))
    if not site.points:
        raise SiteError(f"no layer of {model.cfg.architecture} has neurons of site {name!r}")
    return site


def site_table(model: ModelLike, name: str = "post") -> tuple[SiteRow, ...]:
    """Check a site on every layer, refused ones included, with the widths one token really has.

    Raises:
        SiteError: unknown site, or an autoencoder that cannot be read.
    """
    model = as_model(model)
    rows: list[SiteRow | HookSite] = []
    if is_latents(name):
        rows.append(latents(model, name))
    else:
        for stack, layer, kind, points in _layers(model, name):
            try:
                rows += points
            except SiteError as refusal:
                where = stack.component(kind), layer, stack.hook(layer, _PARTS.get(kind, "mlp"))
                rows.append(SiteRow(*where, "", None, None, str(refusal)))
    shapes = observed(model, [row.hook for row in rows if isinstance(row, HookSite)])
    known = model.hook_dict
    return tuple(
        row
        if isinstance(row, SiteRow)
        else _row(row, canonical_name(known, row.hook), shapes[row.hook])
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


def _layers(model: Model, name: str) -> Iterator[tuple[Stack, int, str, Iterator[HookSite]]]:
    """Every layer that a site's name asks for, with its kind and what finds its points."""
    one, _, kind = name.rpartition(".")
    if not is_known(name):
        known = ", ".join(map(repr, SITES))
        raise SiteError(f"unknown site {name!r}: expected one of {known} or 'sae:FOLDER'")
    stacks, points = model.stacks, model.hook_dict
    if one and one not in [stack.name for stack in stacks]:
        raise SiteError(f"{model.cfg.architecture} has no stack {one!r}: expected site {kind!r}")
    find = _FINDERS.get(kind, mlp_points)
    for stack in stacks:
        if one in ("", stack.name):
            for layer in range(len(stack.blocks)):
                yield stack, layer, kind, find(model, stack, layer, kind, points)


def _row(point: HookSite, canonical: str, shapes: Sequence[torch.Size]) -> SiteRow:
    width = shapes[0][-1] if shapes else None
    verdict = "ok" if width == point.width else f"is {width} wide, the weights say {point.width}"
    if len(shapes) != 1:
        verdict = f"runs {len(shapes)} times in a pass, so that one neuron has several activations"
    return SiteRow(point.component, point.layer, point.hook, canonical, width, point.width, verdict)
