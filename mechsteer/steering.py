"""The scope in which a model runs edited, and after which it is bit for bit itself again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.hooks import detach
from mechsteer.interventions import NeuronEdit
from mechsteer.kernels import edit_neurons
from mechsteer.models import require_same_model
from mechsteer.sites import HookSite, find_site

Hook = Callable[..., Tensor]


def steer(model: Any, *edits: NeuronEdit) -> Steering:
    """Install edits on a model; they act in every forward pass until they are removed.

    Edits act left to right. Scopes nest: an inner one acts after the outer. Hooks of others are
    never touched. An edit that is the identity (no neurons, or strength 0) installs nothing, so the
    logits stay bit-identical.

    Use it as a scope, ``with ms.steer(model, edit): …``, or keep the handle and call ``remove()``.

    Raises:
        SiteError: an edit was made for a site this model does not have.
        ArtifactError: an edit was made with another model.
    """
    for edit in edits:
        _require_site(model, edit)
    steering = Steering()
    try:
        for edit in edits:
            steering.install(model, edit)
    except BaseException:
        steering.remove()
        raise
    return steering


def _require_site(model: Any, edit: NeuronEdit) -> None:
    if edit.model is not None:
        require_same_model(model, edit.model)
    if find_site(model, edit.site.name) != edit.site:
        raise SiteError(
            f"edit {edit.name!r} was made for another {edit.site.name!r} site than this model has; "
            "score this model and make the edit from its own experts"
        )


class Steering:
    """Handle of installed edits: a context manager, and ``remove()`` for those who keep it."""

    def __init__(self) -> None:
        self._installed: list[tuple[Any, Any]] = []
        self._fired: dict[str, bool] = {}

    def install(self, model: Any, edit: NeuronEdit) -> None:
        """Hook one edit, one hook a point of its site that holds any of its neurons."""
        if edit.is_identity():
            return
        points = model.hook_dict  # a property that TransformerLens rebuilds at each access
        for place, offset in zip(edit.site.points, edit.site.offsets, strict=True):
            here = (edit.index >= offset) & (edit.index < offset + place.width)
            if here.any():
                hook = self._hook(place, edit.index[here] - offset, edit.a[here], edit.b[here])
                point = points[place.hook]
                self._installed.append((point, point.add_hook(hook)))

    def _hook(self, place: HookSite, index: Tensor, a: Tensor, b: Tensor) -> Hook:
        self._fired[place.hook] = False
        moved = {torch.device("cpu"): (index, a, b)}

        def edit(z: Tensor, hook: Any) -> Tensor:
            self._fired[place.hook] = True
            if z.device not in moved:  # layers may live on different devices
                moved[z.device] = (index.to(z.device), a.to(z.device), b.to(z.device))
            return edit_neurons(z, *moved[z.device], checked=True)

        return edit

    def remove(self) -> None:
        """Take every edit of this handle away; calling it again does nothing."""
        detach(self._installed)
        self._installed.clear()

    def __enter__(self) -> Steering:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()
        silent = [name for name, fired in self._fired.items() if not fired]
        if silent and error is None:
            warnings.warn(f"these edits never acted: no forward reached {silent}", stacklevel=2)
