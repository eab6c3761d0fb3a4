"""The latents of a sparse autoencoder as the neurons of one hook point."""

from __future__ import annotations

import re
from pathlib import Path

from mechsteer.errors import SiteError
from mechsteer.model.derived import SparseAutoencoder, derived_from
from mechsteer.model.derived.autoencoder import WORD
from mechsteer.model.derived.load import kept_autoencoder
from mechsteer.model.interface import Model
from mechsteer.model.sites.mlp import mlp_points
from mechsteer.model.sites.points import HookSite
from mechsteer.model.sites.residual import residual_points
from mechsteer.model.stacks import Stack

_PREFIX = f"{WORD}:"
_EXPECTED = "hook_resid_pre, hook_resid_post or mlp.hook_post"
_TRANSFORMER_LENS = re.compile(r"(?:(\w+)_)?blocks\.(\d+)\.(.+)")
_HUGGING_FACE = re.compile(r"model\.layers\.(\d+)\.output")
_BEFORE, _AFTER = ("hook_resid_pre", "hook_in"), ("hook_resid_post", "hook_out")


def is_latents(name: str) -> bool:
    """Whether a site's name asks for latents: ``"sae:FOLDER"`` or ``"sae:FOLDER@HOOK"``."""
    return name.startswith(_PREFIX)


def latents(model: Model, name: str) -> HookSite:
    """The hook point of the latents of an autoencoder that fits a model.

    Args:
        model: whose activations it reads.
        name: ``"sae:FOLDER"``, a folder as ``load_autoencoder`` takes it. ``"sae:FOLDER@HOOK"``
            says what it reads where its files do not: ``@blocks.3.hook_resid_post``.

    Raises:
        SiteError: see ``load_autoencoder``; the files say another hook point, or none; the model
            has no such hook point, or one of another width.
        ModelError: compatibility mode.
    """
    model.require_raw()
    folder, hook = _parts(name)
    found = kept_autoencoder(model, folder)
    said = found.settings.hook
    if hook and said and _place(model, hook, folder) != _place(model, said, folder):
        raise SiteError(f"{folder} reads {said} by its own files, not {hook}")
    if not (hook or said):
        raise SiteError(
            f"{folder} does not say what it reads: expected site "
            f"'{_PREFIX}{folder}@blocks.LAYER.hook_resid_post', say"
        )
    point = _place(model, hook or said, folder)
    _require_fit(found, point, model, folder)
    stack = model.stack(point.stack)
    read = derived_from(point.hook, f"{WORD}:{found.digest}:{folder}")
    return HookSite(stack.component(WORD), point.layer, read, found.n_latents)


def _parts(name: str) -> tuple[str, str]:
    """Folder and hook point of a site's name; a folder may have an ``@`` in its own."""
    whole = name.removeprefix(_PREFIX)
    folder, at, hook = whole.rpartition("@")
    if not at or Path(whole).is_dir():
        return whole, ""
    return folder, hook


def _place(model: Model, said: str, folder: str) -> HookSite:
    """The hook point of ours that an autoencoder's files name, with the layer it belongs to."""
    if found := _HUGGING_FACE.fullmatch(said):
        said = f"blocks.{found[1]}.hook_resid_post"
    parts = _TRANSFORMER_LENS.fullmatch(said)
    if parts is None or parts[3] not in (*_BEFORE, *_AFTER, "mlp.hook_post"):
        raise SiteError(
            f"{folder} reads {said!r}, expected blocks.LAYER and {_EXPECTED}: what others hold is "
            "not the same in every architecture"
        )
    stack = next((s for s in model.stacks if s.name == (parts[1] or "")), None)
    layer = int(parts[2])
    if stack is None or layer >= len(stack.blocks):
        has = ", ".join(f"{s.hook(len(s.blocks) - 1, parts[3])}" for s in model.stacks)
        raise SiteError(
            f"{folder} reads {said}, which {model.cfg.architecture} does not have (its last is "
            f"{has}): it was made for another model"
        )
    return _point(model, stack, layer, parts[3])


def _point(model: Model, stack: Stack, layer: int, name: str) -> HookSite:
    if name == "mlp.hook_post":
        (neurons,) = mlp_points(model, stack, layer, "post", model.hook_dict)
        return neurons
    row = residual_points(model, stack)[layer if name in _BEFORE else layer + 1]
    return HookSite(row.component, layer, row.hook, row.width)


def _require_fit(found: SparseAutoencoder, point: HookSite, model: Model, folder: str) -> None:
    if found.d_in != point.width:
        raise SiteError(
            f"{folder} takes {found.d_in} numbers, and {point.hook} of {model.cfg.architecture} "
            f"has {point.width}: it was made for another model"
        )
