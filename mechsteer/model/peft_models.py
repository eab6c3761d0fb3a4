"""Models with an adapter of PEFT (LoRA, say): held as an object, or saved as an adapter folder.

An object is read in place: its own layers run, adapters that are active act, and nothing of it is
changed. An adapter folder is opened with its base model and merged into it. ``peft`` is optional.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mechsteer.errors import ModelError
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.device import token_device
from mechsteer.model.hugging_face import HuggingFaceModel

CONFIG = "adapter_config.json"


def is_adapted(module: nn.Module) -> bool:
    """Whether a module is one of PEFT's models; if PEFT was never imported, it is none."""
    peft = sys.modules.get("peft")
    return peft is not None and isinstance(module, (peft.PeftModel, peft.PeftMixedModel))


def adapted(module: Any) -> tuple[Any, str]:
    """The Hugging Face model inside one of PEFT's, adapters included, and a name for it.

    Raises:
        ModelError: the adapter is a prompt, which adds tokens that no text has, or no Hugging Face
            model is inside.
    """
    from transformers import PreTrainedModel

    configs = [module.peft_config[name] for name in _active(module)]
    if any(config.is_prompt_learning for config in configs):
        raise ModelError(
            f"{configs[0].peft_type.value} puts learned tokens before the text, which are no words "
            "of it: expected an adapter of the weights, LoRA for one"
        )
    model = module.get_base_model()
    if not isinstance(model, PreTrainedModel):
        raise ModelError(
            f"expected a PEFT model of a Hugging Face model, got {type(model).__name__}"
        )
    base = getattr(model.config, "_name_or_path", "") or type(model).__name__
    return model, " + ".join([base, *_active(module)])


def require_hooks_called(outer: nn.Module, model: HuggingFaceModel) -> None:
    """Refuse a PEFT that runs its model around PyTorch's hooks, by which padding is told.

    Raises:
        ModelError: a pass through the PEFT model is not heard at the model inside.
    """
    heard: list[object] = []
    handle = model.register_forward_pre_hook(lambda *given: heard.append(given))
    ids = torch.zeros(1, 1, dtype=torch.long, device=token_device(model))
    mask = torch.ones_like(ids)
    try:
        with torch.inference_mode():
            outer(input_ids=ids, attention_mask=mask, **decoder_inputs(model, ids, mask))
    finally:
        handle.remove()
    if not heard:
        raise ModelError(
            "this version of peft runs models around PyTorch's hooks: pip install -U peft, or "
            "pass peft_model.get_base_model()"
        )


def is_adapter_folder(folder: Path) -> bool:
    """Whether a folder holds an adapter without the model it adapts."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(folder: Path) -> str:
    """The name or folder of the model that an adapter folder is for.

    Raises:
        ModelError: the folder does not say, or PEFT is not installed.
    """
    try:
        base = json.loads((folder / CONFIG).read_text("utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError, OSError) as error:
        raise ModelError(
            f"cannot read {folder / CONFIG} ({error}): save the adapter again"
        ) from None
    if not base or not isinstance(base, str):
        raise ModelError(
            f"{folder / CONFIG} names no base_model_name_or_path: load the base model yourself and "
            "pass PeftModel.from_pretrained(base, folder)"
        )
    if find_spec("peft") is None:
        raise ModelError(
            f"{folder} is a PEFT adapter of {base}, and peft is not installed: pip install peft, "
            "or save the merged model (merge_and_unload) and name that folder"
        )
    return base


def tokenizer_source(folder: Path, base: str) -> str:
    """Where the tokenizer lies: beside the adapter if one was saved there, else with the base."""
    return str(folder) if any(folder.glob("tokenizer*")) else base


def merge(model: nn.Module, folder: Path) -> Any:
    """Load the adapter of a folder into a Hugging Face model and merge the two.

    Raises:
        ModelError: the adapter does not fit.
    """
    import peft

    try:
        merged = peft.PeftModel.from_pretrained(model, str(folder))
        if merged.active_peft_config.is_prompt_learning:
            adapted(merged)  # refuses it
        return merged.merge_and_unload()
    except ModelError:
        raise
    except Exception as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"the adapter in {folder} does not fit its base model: {line}") from error


def _active(module: Any) -> list[str]:
    """Names of the adapters that act."""
    found = module.active_adapter
    return [found] if isinstance(found, str) else list(found)
