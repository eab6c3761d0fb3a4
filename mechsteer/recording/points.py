"""What one recording reads: hook points of neurons, of their gates, of the residual stream."""

from __future__ import annotations

from collections.abc import Sequence

from mechsteer.errors import MechsteerError, SiteError, shown
from mechsteer.kernels import POOLINGS, Pooling
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, Site, residual_points
from mechsteer.recording.firing import firing_point, require_firing

PointPoolings = dict[HookSite, tuple[Pooling, ...]]
"""How each hook point is pooled."""


def points_to_read(
    model: Model,
    points: tuple[HookSite, ...],
    poolings: tuple[Pooling, ...],
    residual: tuple[HookSite, ...],
    *,
    firing: bool,
) -> PointPoolings:
    """How each hook point is pooled; with ``firing`` the gates of the neurons too.

    Raises:
        SiteError: the neurons do not fire where ``hook_pre > 0``.
        MechsteerError: there is nothing to record.
    """
    if not points and not residual:
        raise MechsteerError("expected layers or embeddings to record, got neither")
    if firing:
        require_firing(model, points)
    gates = map(firing_point, points) if firing else ()
    return {**dict.fromkeys(points, poolings), **dict.fromkeys((*gates, *residual), ("mean",))}


def points_of(site: Site, layers: Sequence[int] | None) -> tuple[HookSite, ...]:
    """The hook points of some layers of a site, all by default.

    Raises:
        MechsteerError: the site has no such layer.
    """
    known = {point.layer for point in site.points}
    wanted = known if layers is None else set(layers)
    if not wanted <= known:
        raise MechsteerError(
            f"expected layers from 0 to {max(known)}, got {sorted(wanted - known)}"
        )
    return tuple(point for point in site.points if point.layer in wanted)


def residual_rows(model: Model, stack: str | None = None) -> tuple[HookSite, ...]:
    """The rows of the residual stream, of a model whose embeddings compare to others'.

    Args:
        model: in eval mode.
        stack: ``"encoder"`` or ``"decoder"``; the first that runs by default.

    Raises:
        ModelError: compatibility mode.
        SiteError: the model has no such stack.
    """
    model.require_raw()
    stacks = {each.name: each for each in model.stacks}
    if stack is not None and stack not in stacks:
        known = " or ".join(repr(name) for name in stacks if name) or "none: it has a single stack"
        raise SiteError(f"{model.cfg.architecture} has no stack {shown(stack)}: expected {known}")
    return residual_points(model, None if stack is None else stacks[stack])


def poolings_of(pooling: Pooling | tuple[Pooling, ...]) -> tuple[Pooling, ...]:
    """One or several poolings as a tuple.

    Raises:
        MechsteerError: an unknown or repeated pooling, or none.
    """
    poolings = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    unknown = [how for how in poolings if how not in POOLINGS]
    if unknown or not poolings or len(set(poolings)) < len(poolings):
        raise MechsteerError(f"expected one or several of {', '.join(POOLINGS)}, got {pooling!r}")
    return poolings
