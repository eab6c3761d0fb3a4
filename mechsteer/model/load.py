"""A model to measure: loaded by name or folder, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mechsteer.errors import ModelError
from mechsteer.model.bridge import BridgeModel
from mechsteer.model.checkpoint import (
    default_dtype,
    local_folder,
    open_checkpoint,
    quiet,
    reason_of,
    require_faithful,
)
from mechsteer.model.folder import require_whole
from mechsteer.model.identity import EMBEDDED
from mechsteer.model.interface import Model
from mechsteer.model.views import keep
from mechsteer.model.weights import origin


def load_model(
    name_or_path: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    verify: bool = False,
) -> Model:
    """Load a model in eval mode, without gradients, running no remote code.

    It is a TransformerBridge, and offers all of one, where TransformerLens has an adapter for the
    architecture, and else the Hugging Face model, read by hooks of our own. Attention is eager
    either way.

    Args:
        name_or_path: a published model's name, a checkpoint folder, or None for the embedded model.
        device: default the GPU where there is one.
        device_map: how to spread the weights over devices instead, as in transformers: ``"auto"``,
            or a device for each module.
        dtype: default float32 on the CPU and the checkpoint's own elsewhere.
        revision: branch, tag or commit of a published model.
        verify: load the weights once more and require that the bridge gives the plain model's
            logits.

    Raises:
        ModelError: the model is missing, gated, damaged, or of an architecture whose neurons cannot
            be told for certain; a device and a map of devices; a bridge that computes something
            else.
    """
    from transformers import AutoConfig, AutoTokenizer

    name = _source(name_or_path)
    if device is not None and device_map is not None:
        raise ModelError("expected a device or a device_map, got both: leave one out")
    if Path(name).is_dir():
        require_whole(Path(name))
    usual = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with quiet():
        try:
            config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(
                name, revision=revision, trust_remote_code=False
            )
            opened = open_checkpoint(
                name,
                config,
                **({"device": usual} if device_map is None else {"device_map": device_map}),
                dtype=dtype or default_dtype(config, usual),
                revision=revision,
            )
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(reason_of(name, error)) from error
    opened.eval().requires_grad_(False)
    model = opened if isinstance(opened, Model) else keep(BridgeModel(opened))
    model.plain_tokenizer = tokenizer
    if (folder := local_folder(name, revision)) is not None:
        model.came_from(origin(model.original_model, folder))
    if verify:
        with quiet():
            require_faithful(model, name, revision=revision)
    return model


def _source(name_or_path: str | Path | None) -> str:
    if name_or_path is None:
        if not (EMBEDDED / "config.json").is_file():
            raise ModelError("this install lacks the embedded model: name a model or a folder")
        return str(EMBEDDED)
    name = str(name_or_path)
    folder = Path(name).expanduser()
    if folder.exists() or isinstance(name_or_path, Path) or name.startswith((".", "/", "~")):
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"expected a checkpoint folder with a config.json at {name}, found "
                f"{'none in it' if folder.is_dir() else 'no folder'}: name a folder or a model"
            )
        return str(folder)
    return name
