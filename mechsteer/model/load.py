"""A model to measure: loaded by name or folder, and checked."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from mechsteer.artifacts.places import impossible
from mechsteer.errors import ModelError, shown
from mechsteer.model.bridge import BridgeModel
from mechsteer.model.checkpoint import (
    default_dtype,
    has_adapter,
    open_checkpoint,
    require_faithful,
    require_runs,
    whole_model,
)
from mechsteer.model.declared import require_layers, require_sizes
from mechsteer.model.device import usable_device, usable_dtype
from mechsteer.model.folder import require_whole, weight_files
from mechsteer.model.gguf.files import has_magic, is_gguf, opened
from mechsteer.model.gguf.models import config_of, plain_model
from mechsteer.model.gguf.words import tokenizer_of
from mechsteer.model.held import held_by
from mechsteer.model.identity import EMBEDDED, place_of
from mechsteer.model.interface import Model
from mechsteer.model.loaders import quiet
from mechsteer.model.peft_models import base_of, is_adapter_folder, merge, tokenizer_source
from mechsteer.model.plain import PlainModel
from mechsteer.model.reasons import local_folder, reason_of
from mechsteer.model.views import bridged, keep, view_of
from mechsteer.model.weights import origin
from mechsteer.progress import stage, with_bars

_SILENT = 2.0  # seconds of loading before a line says so


@with_bars
def load_model(
    name_or_path: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    dtype: str | torch.dtype | None = None,
    revision: str | None = None,
    verify: bool = False,
    progress: bool = True,
) -> Model:
    """Load a model in eval mode, without gradients, running no remote code.

    It is a TransformerBridge, and offers all of one, where TransformerLens has an adapter for the
    architecture, and else the Hugging Face model, read by hooks of our own. Attention is eager
    either way.

    Args:
        name_or_path: a published model's name, a checkpoint folder, a GGUF file (dequantised to a
            plain model; needs ``gguf``), a folder of a PEFT adapter (opened with its base model and
            merged into it, read by hooks of our own; needs ``peft``), or "embedded" or None for
            the embedded model.
        device: default the GPU where there is one.
        device_map: how to spread the weights over devices instead, as in transformers: ``"auto"``,
            or a device for each module.
        dtype: torch's or its name (``"bfloat16"``); default float32 on the CPU and the
            checkpoint's own elsewhere.
        revision: branch, tag or commit of a published model.
        verify: load the weights once more and require that the bridge gives the plain model's
            logits.
        progress: show bars where a terminal watches.

    Raises:
        ModelError: the model is missing, gated, damaged, or of an architecture whose neurons cannot
            be told for certain; a device and a map of devices; no such precision; a bridge that
            computes something else.
    """
    name = _source(name_or_path)
    if device is not None and device_map is not None:
        raise ModelError("expected a device or a device_map, got both: leave one out")
    usual, dtype = usable_device(device), usable_dtype(dtype)
    adapter = Path(name) if is_adapter_folder(Path(name)) else None
    if adapter is not None:
        name, revision = _source(base_of(adapter)), None
    if Path(name).is_dir():
        require_whole(Path(name))
    where = {"device": usual} if device_map is None else {"device_map": device_map}
    with quiet(), stage(f"loading {name}", after=_SILENT):
        try:
            view, tokenizer, gguf = _open(name, adapter, usual, dtype, revision=revision, **where)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(reason_of(name, error)) from error
    view.eval().requires_grad_(False)
    model = keep(view if isinstance(view, Model) else BridgeModel(view))
    require_layers(model, name)
    model.plain_tokenizer = tokenizer
    if adapter is not None:
        model.came_from(None)
    elif gguf:
        model.came_from(origin(model.original_model, (Path(name),), gguf))
    elif (folder := local_folder(name, revision)) is not None:
        model.came_from(origin(model.original_model, weight_files(folder)))
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
) -> tuple[Any, Any, str]:
    """A bridge or a ``Model``, with its tokenizer and the GGUF file it came from, in words.

    With an adapter, what it and its base make.
    """
    from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

    if is_gguf(Path(name)):
        return _open_gguf(Path(name), adapter, usual, dtype, **options)
    known = {"revision": options["revision"], "trust_remote_code": False}
    settings, _ = PreTrainedConfig.get_config_dict(name, **known)
    require_sizes(settings, held_by(Path(name)) if Path(name).is_dir() else None)
    config = AutoConfig.from_pretrained(name, **known)
    words = name if adapter is None else tokenizer_source(adapter, name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(words, **known)
    except Exception as error:
        raise ModelError(reason_of(words, error, "the tokenizer of ")) from error
    options["dtype"] = dtype or default_dtype(config, usual)
    if adapter is None:
        return open_checkpoint(name, config, **options), tokenizer, ""
    architecture = (getattr(config, "architectures", None) or [None])[0]
    merged = _merged(whole_model(name, architecture, **options), adapter)
    return view_of(merged, tokenizer), tokenizer, ""


def _open_gguf(
    path: Path, adapter: Path | None, usual: torch.device, dtype: torch.dtype | None, **options: Any
) -> tuple[Any, Any, str]:
    """What ``_open`` makes of a checkpoint folder, of a GGUF file."""
    if options.pop("revision") is not None:
        raise ModelError(f"{path.name} is a file, which has no revisions: leave the revision out")
    with opened(path) as file:
        config = config_of(file)
        options["dtype"] = dtype or default_dtype(config, usual)
        tokenizer = tokenizer_of(file)
        if adapter is not None:
            merged = _merged(plain_model(file, config, **options), adapter)
            return view_of(merged, tokenizer), tokenizer, ""
        if has_adapter(config.architectures[0]):
            try:
                bridge = bridged(
                    plain_model(file, config, **options), str(path), deepcopy(tokenizer)
                )
                if "device_map" not in options:
                    require_runs(bridge)
                return bridge, tokenizer, file.described
            except ModelError:
                raise
            except Exception:  # an adapter that fits only some sizes
                pass
        view = PlainModel(plain_model(file, config, **options), str(path))
        return view, tokenizer, file.described


def _merged(model: Any, adapter: Path) -> Any:
    merged = merge(model, adapter).eval()
    merged.config._name_or_path = str(adapter)
    return merged


def _source(name_or_path: str | Path | None) -> str:
    if name_or_path is None or place_of(str(name_or_path)) == str(EMBEDDED):
        if not (EMBEDDED / "config.json").is_file():
            raise ModelError("this install lacks the embedded model: name a model or a folder")
        return str(EMBEDDED)
    name = str(name_or_path)
    if not name:
        raise ModelError("expected a model's name or a folder, got ''")
    if fault := impossible(name):
        raise ModelError(f"expected a model's name or a folder, got {shown(name)}, which {fault}")
    folder = Path(name).expanduser()
    if is_adapter_folder(folder) or is_gguf(folder):
        return str(folder)
    if folder.exists() or isinstance(name_or_path, Path) or name.startswith((".", "/", "~")):
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"expected a checkpoint folder with a config.json or a GGUF file at {name}, found "
                f"{_found(folder)}: name a folder or a model"
            )
        return str(folder)
    return name


def _found(path: Path) -> str:
    """What lies at a path that is no model, in words."""
    if not path.exists():
        return "nothing"
    if path.is_file():
        return "one that does not end in .gguf" if has_magic(path) else "a file of another kind"
    others = sorted(file.name for file in path.glob("*.gguf"))
    return f"a folder without one, but with {others[0]}" if others else "a folder without one"
