"""Models of GGUF files: dequantised by transformers to plain models, and nothing left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mechsteer.artifacts.files import write_json
from mechsteer.errors import ModelError
from mechsteer.model.building import bounded
from mechsteer.model.complete import IncompleteError, require_complete
from mechsteer.model.declared import require_sizes
from mechsteer.model.folder import weight_files
from mechsteer.model.gguf.files import GgufFile, line_of, opened
from mechsteer.model.gguf.left_out import left_out
from mechsteer.model.gguf.words import save_words, tokenizer_of
from mechsteer.model.loaders import quiet
from mechsteer.model.weights import NOTE, Checkpoint
from mechsteer.progress import stage


def config_of(file: GgufFile) -> Any:
    """The configuration that transformers makes of a file's metadata, with its model class.

    Raises:
        ModelError: transformers cannot read the architecture, or the file declares absurd sizes.
    """
    from transformers import AutoConfig

    require_sizes(file.settings, file.held, file.path.name)
    try:
        with stage(f"configuring a model for {file.path.name}"):
            config = AutoConfig.from_pretrained(str(file.alone), gguf_file=file.path.name)
        config.architectures = config.architectures or [_class_name(config)]
    except Exception as error:
        raise ModelError(
            f"cannot load {str(file.path)!r}: transformers cannot read a GGUF file of architecture "
            f"{file.architecture!r} ({line_of(error)}): name a checkpoint folder of that model, or "
            "try a newer transformers: pip install -U transformers"
        ) from error
    _fit(config, file)
    return config


def plain_model(
    file: GgufFile,
    config: Any,
    *,
    dtype: torch.dtype,
    device: torch.device | None = None,
    device_map: Any = None,
) -> Any:
    """The Hugging Face model of a file in eval mode, dequantised, every weight from the file.

    Raises:
        ModelError: the file lacks weights of the architecture, holds weights or settings that
            transformers leaves out, or a type of tensor that cannot be dequantised.
    """
    import transformers

    packed = getattr(transformers, "GgufConfig", None)  # since it can compute with packed weights
    options = {} if packed is None else {"quantization_config": packed(dequantize=True)}
    try:
        with bounded(lambda: (file.held, file.settings)):
            model, info = getattr(transformers, config.architectures[0]).from_pretrained(
                str(file.alone),
                gguf_file=file.path.name,
                config=config,
                dtype=dtype,
                device_map=device_map,
                attn_implementation="eager",  # as TransformerLens has it
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
        lost = next(left_out(file, model, info), "")
        require_complete(model, info)
    except IncompleteError as error:
        lost = str(error).partition(":")[0]
    except Exception as error:
        raise ModelError(
            f"cannot load {str(file.path)!r}: transformers cannot read its weights "
            f"({line_of(error)}): name a checkpoint folder of that model"
        ) from error
    if lost:
        raise ModelError(
            f"cannot load {str(file.path)!r}: {lost}; it would be another model, so name a "
            "checkpoint folder of it"
        )
    _forget_packing(model)
    model.config._name_or_path = str(file.path)
    return (model if device is None else model.to(device)).eval()


def reopened(path: Path, dtype: torch.dtype) -> Any:
    """The Hugging Face model of a file, once more.

    Raises:
        ModelError: as the first time.
    """
    with opened(path) as file:
        return plain_model(file, config_of(file), dtype=dtype)


def dequantise(path: Path, folder: Path) -> Path:
    """Write a GGUF file's model as a checkpoint folder of float32, which loads in seconds.

    The folder notes what it was made of: as long as its weights are those, it is known as the same
    model.

    Raises:
        ModelError: the file is no model that can be read.
    """
    with quiet(), opened(path) as file:
        config = config_of(file)
        plain_model(file, config, dtype=torch.float32).save_pretrained(folder)
        save_words(tokenizer_of(file), folder)
        note = Checkpoint((path,)).hash(), file.described
    weights = Checkpoint(weight_files(folder)).hash()
    write_json(folder / NOTE, {"weights": weights, "hash": note[0], "gguf": note[1]})
    return folder


def _fit(config: Any, file: GgufFile) -> None:
    """Take sizes from the file where transformers leaves them at its defaults."""
    words, positions = (
        file.shapes.get(f"{name}.weight") for name in ("token_embd", "position_embd")
    )
    if words is not None:
        config.vocab_size = words[0]
    if positions is not None and hasattr(config, "n_positions"):
        config.n_positions = positions[0]
    if (width := file.setting("attention.key_length")) and config.to_dict().get("head_dim"):
        config.head_dim = width
    if (config.pad_token_id or 0) >= config.vocab_size:
        config.pad_token_id = None


def _class_name(config: Any) -> str:
    from transformers.models.auto import modeling_auto as auto

    for known in (
        auto.MODEL_FOR_CAUSAL_LM_MAPPING,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
        auto.MODEL_MAPPING,
    ):
        if type(config) in known:
            name: str = known[type(config)].__name__
            return name
    raise ModelError(f"it has no model of {config.model_type}")


def _forget_packing(model: Any) -> None:
    """Leave a plain model, which can be saved: no weight is packed any more."""
    for name in ("hf_quantizer", "quantization_method"):
        vars(model).pop(name, None)
    model.is_quantized = False
    vars(model.config).pop("quantization_config", None)
