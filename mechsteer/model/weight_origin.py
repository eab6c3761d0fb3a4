"""Whose weights a model holds that somebody else loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from mechsteer.model.checkpoint import opened_as
from mechsteer.model.folder import weight_files
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.interface import Model
from mechsteer.model.linear import own
from mechsteer.model.loaders import quiet
from mechsteer.model.reasons import local_folder
from mechsteer.model.weights import Origin, origin, sums

COPY_LIMIT = 3e9  # bytes of weights up to which a model is loaded again to learn whose they are


def recognised(view: Model) -> Origin | None:
    """The checkpoint of a model that somebody else loaded, if its weights are still those of it.

    Its tensors are compared with those of the files, one at a time; where files name them in
    another way the model is loaded a second time, and of what takes more than ``COPY_LIMIT``
    nothing is known then.
    """
    plain = view.original_model
    name = str(getattr(getattr(plain, "config", None), "_name_or_path", ""))
    folder = local_folder(name, getattr(plain.config, "_commit_hash", None)) if name else None
    if folder is None:
        return None
    try:
        if _holds(plain, folder):
            return origin(plain, weight_files(folder))
        held = sum(p.numel() * p.element_size() for p in plain.parameters())
        found = origin(_again(view, folder), weight_files(folder)) if held <= COPY_LIMIT else None
    except Exception:  # not the checkpoint of this model, or no longer
        return None
    return found if found is not None and found.sums == sums(plain) else None


def _again(view: Model, folder: Path) -> HuggingFaceModel:
    with quiet():
        loaded: HuggingFaceModel = opened_as(view, folder)
    return loaded


@torch.inference_mode()
def _holds(plain: HuggingFaceModel, folder: Path) -> bool:
    """Whether every weight is that of the files, in the model's precision, under the same name."""
    from safetensors import safe_open

    files = weight_files(folder)
    if not files or any(path.suffix != ".safetensors" for path in files):
        return False
    held, seen = dict(_named(plain)), set()
    for path in files:
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                if name not in held or not _equal(file.get_tensor(name), held[name]):
                    return False
                seen.add(id(held[name]))
    return all(id(tensor) in seen for tensor in held.values())


def _named(plain: HuggingFaceModel | nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters under the plain model's names, without what a bridge makes of them."""
    module: nn.Module = own(plain)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield f"{prefix}{name}", parameter
    for name, child in module._modules.items():
        if child is not None:
            yield from _named(child, f"{prefix}{name}.")


def _equal(stored: Tensor, held: Tensor) -> bool:
    return not held.is_meta and torch.equal(stored.to(held.dtype), held.cpu())
