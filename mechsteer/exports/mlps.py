"""The MLPs of a plain model by their linear modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mechsteer.errors import SiteError
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, find_site
from mechsteer.selftest.plain import Plain, PlainPoint, plain_point


@dataclass(frozen=True)
class Mlp:
    """The linear modules of one MLP in a plain model, with the hook points of what they give."""

    down: Any
    up: tuple[PlainPoint, HookSite]
    gate: tuple[PlainPoint, HookSite] | None


def mlps_of(model: Model, plain: Any) -> list[Mlp]:
    """MLPs of linear modules, by layer; none of a model without the site ``linear``."""
    try:
        points = find_site(model, "linear").points
    except SiteError:
        return []
    layers: dict[tuple[str, int], dict[str, tuple[PlainPoint, HookSite]]] = {}
    for point in points:
        found = plain_point(model, Plain(plain, ""), point)
        if found is not None:
            layers.setdefault((point.stack, point.layer), {})[point.kind] = found, point
    return [
        Mlp(parts["down"][0].module, parts["up"], parts.get("gate"))
        for parts in layers.values()
        if {"up", "down"} <= parts.keys()
    ]
