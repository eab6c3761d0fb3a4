"""What sites that are computed from an activation are computed from, in the plain model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mechsteer.model.derived import Derivation, derivation_of
from mechsteer.model.interface import Model
from mechsteer.model.linear import own
from mechsteer.model.sites import HookSite, find_site, residual_points
from mechsteer.model.sites.attention import PROJECTIONS, projection
from mechsteer.selftest.plain import Plain, PlainPoint, module_there, plain_point


@dataclass(frozen=True)
class PlainDerived:
    """A place in the plain model, and what is made of the activation there.

    Attributes:
        place: where a hook sees the activation; None of the embedding, which no module gives.
        base: the hook point with the same activation.
        derivation: how the neurons are computed.
    """

    place: PlainPoint | None
    base: str
    derivation: Derivation

    def read(self, h: Tensor) -> Tensor:
        """The neurons of an activation, in its precision or float32."""
        return self.derivation.read(h)


def plain_derived(model: Model, plain: Plain, point: HookSite) -> PlainDerived | None:
    """What a point is computed from in the plain model; None of a point that is not computed.

    The outputs of projections are not: a module gives them themselves, see ``plain_point``.

    Raises:
        SiteError: see ``derivation_of``.
    """
    found = derivation_of(model, point.hook)
    if found is None or point.kind in PROJECTIONS:
        return None
    return PlainDerived(_place(model, plain, point, found[0]), *found)


def base_of(model: Model, hook: str) -> str:
    """The hook point whose activation holds what passes one, its own where none is computed."""
    found = derivation_of(model, hook)
    return hook if found is None else found[0]


def _place(model: Model, plain: Plain, point: HookSite, base: str) -> PlainPoint | None:
    stack = model.stack(point.stack)
    if base.endswith(".o.hook_in"):
        module, before = projection(stack, point.layer, "o"), True
    elif row := next((r for r in residual_points(model, stack) if r.hook == base), None):
        if not 1 <= row.layer <= len(stack.blocks):
            return None
        module, before = own(stack.blocks[row.layer - 1]), False
    else:
        post = next(p for p in find_site(model).points if p.hook == base)
        return plain_point(model, plain, post)
    there = module_there(model, plain, module)
    return None if there is None else PlainPoint(there, before)
