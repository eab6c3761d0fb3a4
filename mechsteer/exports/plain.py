"""The Hugging Face model of a model once more, on its own: what may be changed and saved."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mechsteer.errors import MechsteerError, ModelError
from mechsteer.interventions.download import first_line
from mechsteer.model.checkpoint import whole_model
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.gguf.files import is_gguf
from mechsteer.model.gguf.models import reopened
from mechsteer.model.interface import Model
from mechsteer.model.linear import own
from mechsteer.model.loaders import quiet
from mechsteer.model.peft_models import is_adapted
from mechsteer.model.plain import PlainModel
from mechsteer.model.tokenizer import as_published

_WRAPPED = "._original_component"
_KEPT = ("_mechsteer", "_mechsteer_generation")  # what mechsteer keeps on a model's module


def plain_copy(model: Model) -> Any:
    """A Hugging Face model of the same weights, on the CPU, in the same precision, without hooks.

    A bridge's own cannot be saved, so its checkpoint is loaded once more.

    Raises:
        ModelError: quantised weights, a PEFT adapter that is not merged, or a bridge whose
            checkpoint is not known.
    """
    inner = model.original_model
    if getattr(inner, "is_quantized", False):
        raise ModelError("quantised weights cannot carry an edit exactly: load the model in full")
    if is_adapted(model.module):
        raise ModelError("an adapter lies beside the weights: merge_and_unload() it first")
    if isinstance(model, PlainModel):
        return _unhooked(deepcopy(inner)).cpu().eval()
    with quiet():
        return _loaded(model).eval()


def counterpart(model: Model, plain: Any, module: Any) -> tuple[str, nn.Module]:
    """Name and module of the copy, of a module inside the model.

    Raises:
        ModelError: the copy has none, as where a bridge splits a module in parts.
    """
    modules = dict(plain.named_modules())
    for name, part in model.original_model.named_modules():
        if own(part) is own(module) and (plainly := name.replace(_WRAPPED, "")) in modules:
            return plainly, modules[plainly]
    raise ModelError(f"{type(plain).__name__} has no {type(module).__name__} of its own")


def sentence(plain: Any, length: int = 7) -> dict[str, Tensor]:
    """A few tokens for a pass, two rows of a length, the second padded on the right by two."""
    config = plain.config
    n_words = int(plain.get_input_embeddings().weight.shape[0])
    ids = torch.arange(3, 3 + 2 * length).view(2, length) * 5 % n_words
    ends = getattr(config, "eos_token_id", None)
    mask = torch.ones_like(ids)
    mask[1, -2:] = 0
    if isinstance(ends, int) and ends < n_words:
        ids[0, -1] = ids[1, -3] = ends
    return {"input_ids": ids, "attention_mask": mask, **decoder_inputs(plain, ids, mask)}


def saved(plain: Any, tokenizer: Any, folder: Path, attention: str = "sdpa") -> None:
    """Write model, tokenizer and generation settings as transformers does.

    Its ``config.json`` also names the attention that it is opened with, where that is not
    transformers' own choice: another one sums in another order.

    Raises:
        OSError: the disk is full, say.
        MechsteerError: transformers refuses to save them.
    """
    try:
        with quiet():
            plain.save_pretrained(folder)
            as_published(tokenizer).save_pretrained(folder)
        if attention != "sdpa":
            file = folder / "config.json"
            settings = json.loads(file.read_text(encoding="utf-8"))
            text = json.dumps(settings | {"attn_implementation": attention}, indent=2)
            file.write_text(f"{text}\n", encoding="utf-8")
    except OSError:
        raise
    except SafetensorError as error:  # what it makes of an OSError
        raise OSError(first_line(error)) from None
    except Exception as error:  # settings that transformers itself does not save
        raise MechsteerError(
            f"transformers does not save this model: {first_line(error)}"
        ) from None


def run(plain: Any, inputs: Mapping[str, Tensor]) -> Any:
    """One pass of a plain model.

    Raises:
        ModelError: it does not run.
    """
    try:
        return plain(**inputs)
    except Exception as error:  # of whatever its own code stumbles over
        raise ModelError(f"{type(plain).__name__} does not run: {first_line(error)}") from None


def result(out: Any, mask: Tensor) -> Tensor:
    """Logits of a pass, or else the last hidden states, at real tokens; or those of whole rows."""
    numbers: Tensor = out.logits if "logits" in out else out[0]
    return numbers[mask.bool()] if numbers.shape[:2] == mask.shape else numbers


def roundings(found: Tensor, wanted: Tensor) -> float:
    """The largest difference of numbers, in units ``eps·max|wanted|`` of their precision."""
    unit = torch.finfo(wanted.dtype).eps * float(wanted.abs().max())
    gap = float((found.double() - wanted.double()).abs().max())
    if gap == 0:
        return 0.0
    return gap / unit if unit else math.inf


def _loaded(model: Model) -> Any:
    if not model.source:
        raise ModelError("where the model was loaded from is not known: load it by its name")
    if is_gguf(Path(model.source)):
        return reopened(Path(model.source), model.dtype)
    from transformers import AutoConfig

    revision = getattr(model.original_model.config, "_commit_hash", None)
    known = {"revision": revision, "trust_remote_code": False}
    named = (getattr(AutoConfig.from_pretrained(model.source, **known), "architectures", None),)
    return whole_model(model.source, (named[0] or [None])[0], dtype=model.dtype, revision=revision)


def _unhooked(plain: Any) -> Any:
    for module in plain.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        for name in _KEPT:
            vars(module).pop(name, None)
    return plain
