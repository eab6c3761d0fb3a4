"""Sparse autoencoders from folders, each read once and kept with the model that is read by it."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import torch
from torch import Tensor

from mechsteer.errors import SiteError
from mechsteer.model.derived.autoencoder import WORD, Settings, SparseAutoencoder
from mechsteer.model.derived.files import FoundFiles, found_files
from mechsteer.model.derived.settings import settings_of
from mechsteer.model.interface import Model

_MAIN = ("W_enc", "W_dec", "b_dec")
_SCALING = ("scaling_factor", "finetuning_scaling_factor")
_BESIDE = {
    "relu": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "topk": ("b_enc",),
    "gated": ("b_gate", "b_mag", "r_mag"),
}


def load_autoencoder(folder: str | Path) -> SparseAutoencoder:
    """Read a sparse autoencoder in SAELens's layout or in Gemma Scope's.

    SAELens: ``sae_weights.safetensors`` and ``cfg.json``. Gemma Scope: ``params.npz`` or
    ``params.safetensors``, with ``config.json`` or without; what it reads is then told by the
    folder's name, ``.../layer_12/width_16k/...``.

    Raises:
        SiteError: another layout, missing or misshapen weights, or a setting that cannot be read
            for certain.
    """
    return _checked(found_files(Path(folder)))


def autoencoder_of(model: Model, hook: str) -> SparseAutoencoder:
    """The autoencoder of a hook point's name, ``"blocks.3.hook_resid_post.sae:DIGEST:FOLDER"``.

    Raises:
        SiteError: the folder holds another one by now.
    """
    digest, _, folder = hook.partition(f".{WORD}:")[2].partition(":")
    found = kept_autoencoder(model, folder)
    if found.digest != digest:
        raise SiteError(f"{folder} holds another autoencoder than it did: score with this one")
    return found


def kept_autoencoder(model: Model, folder: str) -> SparseAutoencoder:
    """``load_autoencoder``, not again while the files stay as they are.

    Raises:
        SiteError: see there.
    """
    files = found_files(Path(folder))
    stamp = tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files.paths)
    kept = model.facts.autoencoders.get(folder)
    if kept is None or kept[0] != stamp:
        kept = model.facts.autoencoders[folder] = (stamp, _checked(files))
    found: SparseAutoencoder = kept[1]
    return found


def _checked(files: FoundFiles) -> SparseAutoencoder:
    tensors = files.tensors()
    settings = settings_of(files, threshold="threshold" in tensors)
    names = (*_MAIN, *_BESIDE[settings.kind])
    if missing := [name for name in names if name not in tensors]:
        raise SiteError(
            f"{files.weights}: no {', '.join(missing)} of a {settings.kind} autoencoder, "
            f"found {', '.join(sorted(tensors)) or 'nothing'}"
        )
    _require_known(files, tensors)
    for name in names:
        if not tensors[name].dtype.is_floating_point:
            raise SiteError(f"{files.weights}: {name} is {tensors[name].dtype}, expected floats")
    weights = {name: tensors[name].float().contiguous() for name in names}
    _require_shapes(files, weights, settings)
    return SparseAutoencoder(settings, weights, _digest(settings, weights))


def _require_shapes(files: FoundFiles, weights: dict[str, Tensor], settings: Settings) -> None:
    """Refuse weights that do not fit together, or are no numbers."""
    encoder = weights["W_enc"]
    d_in, n = encoder.shape if encoder.ndim == 2 else (0, 0)
    said = (files.config.get("d_in") or d_in, files.config.get("d_sae") or n)
    if not d_in or said != (d_in, n):
        raise SiteError(
            f"{files.weights}: W_enc is {list(encoder.shape)}, expected [d_in, latent]"
            + (f" = {list(said)} as {files.settings} says" if files.settings else "")
        )
    for name, weight in weights.items():
        shape = {"W_enc": (d_in, n), "W_dec": (n, d_in), "b_dec": (d_in,)}.get(name, (n,))
        if weight.shape != shape:
            raise SiteError(
                f"{files.weights}: {name} is {list(weight.shape)}, expected {list(shape)} "
                f"beside W_enc {[d_in, n]}"
            )
        if not weight.isfinite().all():
            raise SiteError(f"{files.weights}: {name} is not finite: copy the file again")
    if settings.kind == "topk" and not 1 <= settings.k <= n:
        raise SiteError(f"{files.settings}: expected k from 1 to {n}, got {settings.k}")


def _require_known(files: FoundFiles, tensors: dict[str, Tensor]) -> None:
    """Refuse tensors that may change what the others mean: a transcoder's skip connection, say."""
    known = {*_MAIN, *_SCALING, *(name for names in _BESIDE.values() for name in names)}
    if unknown := sorted(set(tensors) - known):
        raise SiteError(
            f"{files.weights}: {', '.join(unknown)} beside the weights of an autoencoder, whose "
            "use is not known"
        )
    for name in _SCALING:
        if name in tensors and not torch.equal(tensors[name], torch.ones_like(tensors[name])):
            raise SiteError(
                f"{files.weights}: {name} is not 1, and latents scaled after training are not "
                "read: fold it into W_dec"
            )


def _digest(settings: Settings, weights: dict[str, Tensor]) -> str:
    found = blake2b(repr(settings).encode(), digest_size=8)
    for name in sorted(weights):
        found.update(weights[name].numpy().tobytes())
    return found.hexdigest()
