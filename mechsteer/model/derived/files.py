"""The files of a sparse autoencoder, by the layouts in which they are published."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mechsteer.artifacts.places import impossible
from mechsteer.errors import SiteError, shown

Layout = Literal["SAELens", "Gemma Scope"]
_WEIGHTS: dict[str, Layout] = {
    "sae_weights.safetensors": "SAELens",
    "params.safetensors": "Gemma Scope",
    "params.npz": "Gemma Scope",
}
_SETTINGS = ("cfg.json", "config.json")
_SHOWN = 4  # files of a folder that is no autoencoder's


@dataclass(frozen=True)
class FoundFiles:
    """Where weights and settings lie, with the settings read.

    Attributes:
        weights: a safetensors or npz file.
        settings: a JSON file; None where Gemma Scope has none.
        config: what it says; SAELens's ``metadata`` beside the rest.
    """

    layout: Layout
    weights: Path
    settings: Path | None
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return (self.weights, *([] if self.settings is None else [self.settings]))

    def tensors(self) -> dict[str, Tensor]:
        """The weights by SAELens's names; Gemma Scope 2 writes ``w_enc`` for ``W_enc``.

        Raises:
            SiteError: the file cannot be read, or what a name holds is no tensor of numbers.
        """
        try:
            found = _arrays(self.weights) if self.weights.suffix == ".npz" else _safe(self.weights)
        except Exception as error:
            what = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SiteError(f"{self.weights} cannot be read: {what}") from error
        return {name.replace("w_", "W_") if name[:2] == "w_" else name: t for name, t in found}


def found_files(folder: Path) -> FoundFiles:
    """What a folder holds.

    Raises:
        SiteError: no folder, none or several of the known files, or settings that are no JSON.
    """
    if impossible(folder) or not folder.is_dir():
        raise SiteError(
            f"{shown(str(folder))} is no folder: expected site 'sae:FOLDER', or 'sae:FOLDER@HOOK' "
            "to say what the autoencoder reads"
        )
    names = [name for name in _WEIGHTS if (folder / name).is_file()]
    if len(names) != 1:
        there = names or sorted(path.name for path in folder.iterdir())[:_SHOWN]
        raise SiteError(
            f"{folder} holds {', '.join(there) or 'nothing'}: expected one of "
            "sae_weights.safetensors with cfg.json (SAELens) and params.npz or "
            "params.safetensors (Gemma Scope)"
        )
    settings = next((folder / name for name in _SETTINGS if (folder / name).is_file()), None)
    layout = _WEIGHTS[names[0]]
    if settings is None and layout == "SAELens":
        raise SiteError(f"{folder} holds {names[0]} without cfg.json, which says how to read it")
    config = {} if settings is None else _config(settings)
    return FoundFiles(layout, folder / names[0], settings, config)


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
        metadata = config.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise TypeError(f"metadata is {shown(metadata)}")
        both = [key for key in metadata if metadata[key] != config.get(key, metadata[key])]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise SiteError(f"{path} is no JSON object: {str(error).splitlines()[0]}") from error
    if both:
        raise SiteError(f"{path}: {both[0]} is one thing and, under metadata, another")
    return {**metadata, **config}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"{next(k for k, v in pairs if found[k] is not v)!r} stands twice")
    return found


def _arrays(path: Path) -> list[tuple[str, Tensor]]:
    with np.load(path) as data:
        return [(name, torch.from_numpy(np.ascontiguousarray(data[name]))) for name in data.files]


def _safe(path: Path) -> list[tuple[str, Tensor]]:
    from safetensors.torch import load_file

    return list(load_file(path).items())
