"""A hook point of what is computed from the activation at another: read, edited, and put back.

Its name is that of the other and one word more, ``"blocks.3.hook_resid_post.dims"``. It is there
while it is read or edited, see ``mechsteer.model.derived.opened``. An activation at which nothing
is edited is passed on as it is, bit for bit.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.model.interface import Model


@runtime_checkable
class Derivation(Protocol):
    """What is made of an activation ``h``, and ``h`` after an edit of that."""

    def read(self, h: Tensor) -> Float[Tensor, "sentence token neuron"]:
        """The neurons ``z`` of an activation."""
        ...

    def write(
        self,
        h: Tensor,
        z: Float[Tensor, "sentence token neuron"],
        new: Float[Tensor, "sentence token neuron"],
    ) -> Tensor:
        """The activation whose neurons became ``new`` where they were ``z``."""
        ...


class Whole:
    """The numbers of the residual stream themselves."""

    def read(self, h: Tensor) -> Tensor:
        """``h``."""
        return h

    def write(self, h: Tensor, z: Tensor, new: Tensor) -> Tensor:
        """What was made of it."""
        return new


def derived_from(hook: str, word: str) -> str:
    """The name of a point that is computed from another."""
    return f"{hook}.{word}"


def same_as_input(hook: str) -> str:
    """The name of a point that holds the numbers of another as they are."""
    return derived_from(hook, "dims")


class DerivedPoint:
    """Passes what is read of an activation through a hook point of its own.

    Args:
        model: whose hook points it joins.
        hook: its name.
        base: the name of the point whose activation is read.
        derivation: how.
    """

    def __init__(self, model: Model, hook: str, base: str, derivation: Derivation) -> None:
        self.scopes = 0
        self._model, self._hook, self._derivation = model, hook, derivation
        points = model.hook_dict
        if base not in points:
            raise SiteError(f"{model.cfg.architecture} has no hook point {base}")
        self._base = points[base]
        self.point = model.add_hook_point(hook)
        self._handle = self._base.add_hook(self._pass_on)

    def require_last(self) -> None:
        """Refuse what would read this point before hooks that were put at its base after it.

        Raises:
            SiteError: the activation is edited by others after this point was opened.
        """
        ours = [p for p in self._model.facts.opened.values() if isinstance(p, DerivedPoint)]
        handles = [point._handle for point in ours]  # of an edit of two kinds the first comes first
        later = self._base.fwd_hooks[self._base.fwd_hooks.index(self._handle) :]
        if any(all(hook is not handle for handle in handles) for hook in later):
            raise SiteError(
                f"{self._hook.partition(':')[0]} is edited already, and what it is computed from "
                "by a later edit: put the edits of one kind side by side"
            )

    def remove(self) -> None:
        """Leave the model as it was."""
        self._handle.hook.remove()
        self._base.fwd_hooks[:] = [h for h in self._base.fwd_hooks if h is not self._handle]
        self._model.drop_hook_point(self._hook)

    def _pass_on(self, h: Tensor, hook: Any) -> Tensor | None:
        if not self.point.has_hooks("fwd"):
            return None
        z = self._derivation.read(h)
        new = self.point(z)
        if new is z:
            return None
        changed = (new != z).any(-1)
        if not changed.any():
            return None
        shape = (*changed.shape, *[1] * (h.ndim - changed.ndim))
        return torch.where(changed.view(shape), self._derivation.write(h, z, new), h)
