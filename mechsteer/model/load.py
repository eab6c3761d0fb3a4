"""A model to measure: loaded by name or folder, and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch

from mechsteer.errors import ModelError
from mechsteer.model.checkpoint import (
    default_dtype,
    open_checkpoint,
    quiet,
    reason_of,
    require_faithful,
)
from mechsteer.model.identity import EMBEDDED

_plain_tokenizers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def load_model(
    name_or_path: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    device_map: str | dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    revision: str | None = None,
    verify: bool = False,
) -> Any:
    """Load a model in eval mode, without gradients, running no remote code.

    It is a TransformerBridge where TransformerLens has an adapter for the architecture, and else a
    ``mechsteer.model.plain.PlainModel``, which offers what mechsteer needs of one.

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
    usual = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with quiet():
        try:
            config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(
                name, revision=revision, trust_remote_code=False
            )
            model = open_checkpoint(
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
    _plain_tokenizers[model] = _padded_right(tokenizer)
    model = model.eval().requires_grad_(False)
    if verify:
        with quiet():
            require_faithful(model, name, revision=revision)
    return model


def plain_tokenizer(model: Any) -> Any:
    """The checkpoint's own tokenizer, padding on the right.

    Not ``model.tokenizer``: TransformerLens loads that one anew with a forced beginning-of-sequence
    token, which many models were never trained with.

    Raises:
        ModelError: the model was not loaded by ``load_model`` and does not say where its tokenizer
            lies.
    """
    from transformers import AutoTokenizer

    if model not in _plain_tokenizers:
        source = getattr(getattr(model, "tokenizer", None), "name_or_path", "")
        try:
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        except Exception as error:
            raise ModelError(
                f"cannot find the plain tokenizer of this model (it names {source!r}): "
                "pass tokenizer=AutoTokenizer.from_pretrained(...)"
            ) from error
        _plain_tokenizers[model] = _padded_right(tokenizer)
    return _plain_tokenizers[model]


def context_length(model: Any, tokenizer: Any) -> int:
    """Tokens a model takes; its tokenizer knows better where positions start at an offset."""
    return min(int(model.cfg.n_ctx), int(tokenizer.model_max_length))


def require_eval(model: Any) -> None:
    """Refuse a model in train mode: dropout would make every number random.

    Raises:
        ModelError: the model, or any part of it that has parameters or dropout, trains.
    """
    if model.training or any(part.training for part in model.original_model.modules()):
        raise ModelError("the model is in train mode, where dropout is random: call model.eval()")


def require_raw(model: Any) -> None:
    """Refuse compatibility mode, which shifts the residual stream of LayerNorm models.

    Raises:
        ModelError: the bridge's weights were processed.
    """
    if getattr(model, "compatibility_mode", False):
        raise ModelError(
            "compatibility mode shifts the residual stream, so its embeddings compare to nobody "
            "else's: load the model again and leave enable_compatibility_mode() out"
        )


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


def _padded_right(tokenizer: Any) -> Any:
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
