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
    reason_of,
    require_faithful,
    whole_model,
)
from mechsteer.model.folder import require_whole
from mechsteer.model.identity import EMBEDDED
from mechsteer.model.interface import Model
from mechsteer.model.loaders import quiet
from mechsteer.model.peft_models import base_of, is_adapter_folder, merge, tokenizer_source
from mechsteer.model.views import keep, view_of
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
        name_or_path: a published model's name, a checkpoint folder, a folder of a PEFT adapter
            (opened with its base model and merged into it, read by hooks of our own; needs
            ``peft``), or None for the embedded model.
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
    name = _source(name_or_path)
    if device is not None and device_map is not None:
        raise ModelError("expected a device or a device_map, got both: leave one out")
    adapter = Path(name) if is_adapter_folder(Path(name)) else None
    if adapter is not None:
        name, revision = _source(base_of(adapter)), None
    if Path(name).is_dir():
        require_whole(Path(name))
    usual = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    where = {"device": usual} if device_map is None else {"device_map": device_map}
    with quiet():
        try:
            opened, tokenizer = _open(name, adapter, usual, dtype, revision=revision, **where)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(reason_of(name, error)) from error
    opened.eval().requires_grad_(False)
    model = keep(opened if isinstance(opened, Model) else BridgeModel(opened))
    model.plain_tokenizer = tokenizer
    if adapter is not None:
        model.came_from(None)
    elif (folder := local_folder(name, revision)) is not None:
        model.came_from(origin(model.original_model, folder))
    if verify:
        with quiet():
            require_faithful(model, name, revision=revision)
    return model


def _open(
    name: str,
    adapter: Path | None,
    usual: torch.device,
    dtype: torch.dtype | None,
    **options: Any,
) -> tuple[Any, Any]:
    """A bridge or a ``Model``, with its tokenizer; with an adapter, what it and its base make."""
    from transformers import AutoConfig, AutoTokenizer

    known = {"revision": options["revision"], "trust_remote_code": False}
    config = AutoConfig.from_pretrained(name, **known)
    words = name if adapter is None else tokenizer_source(adapter, name)
    tokenizer = AutoTokenizer.from_pretrained(words, **known)
    options["dtype"] = dtype or default_dtype(config, usual)
    if adapter is None:
        return open_checkpoint(name, config, **options), tokenizer
    architecture = (getattr(config, "architectures", None) or [None])[0]
    merged = merge(whole_model(name, architecture, **options), adapter).eval()
    merged.config._name_or_path = str(adapter)
    return view_of(merged, tokenizer), tokenizer


def _source(name_or_path: str | Path | None) -> str:
    if name_or_path is None:
        if not (EMBEDDED / "config.json").is_file():
            raise ModelError("this install lacks the embedded model: name a model or a folder")
        return str(EMBEDDED)
    name = str(name_or_path)
    folder = Path(name).expanduser()
    if is_adapter_folder(folder):
        return str(folder)
    if folder.exists() or isinstance(name_or_path, Path) or name.startswith((".", "/", "~")):
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"expected a checkpoint folder with a config.json at {name}, found "
                f"{'none in it' if folder.is_dir() else 'no folder'}: name a folder or a model"
            )
        return str(folder)
    return name
