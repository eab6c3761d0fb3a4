"""A model whose every weight came from its checkpoint: what is missing would be random."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import torch

from mechsteer.display import count
from mechsteer.errors import ModelError
from mechsteer.model.hugging_face import HuggingFaceModel

# what wrappers put into the names of tensors: who does, and what to type
_WRAPPERS = {
    "_orig_mod.": ("torch.compile", "save model._orig_mod"),
    "_fsdp_wrapped_module.": ("FSDP", "save the full state dict of the model inside"),
    "_forward_module.": ("Lightning", "save the model inside"),
    "_checkpoint_wrapped_module.": ("activation checkpointing", "save the model inside"),
    "base_model.model.": ("PEFT", "save model.merge_and_unload()"),
    "module.": ("DataParallel", "save model.module"),
}
_PLACES = re.compile(rf"(?:(?<=\.)|^)(?:{'|'.join(map(re.escape, _WRAPPERS))})")
_NUMBER = re.compile(r"\.\d+\.")
_ADAPTERS = (".lora_A.", ".lora_B.", ".base_layer.")
_NAMED = 3  # of the missing tensors


class IncompleteError(ModelError):
    """A checkpoint that lacks tensors of the model that its configuration names."""


@torch.no_grad()
def require_complete(model: HuggingFaceModel, info: Mapping[str, Any]) -> None:
    """Refuse a model with weights that its checkpoint does not have, or has in another shape.

    Tied weights and buffers are not missing: transformers takes them from elsewhere. A pooler that
    nobody trained is set to 0, so that one checkpoint is one model.

    Args:
        model: a Hugging Face model.
        info: what ``from_pretrained(output_loading_info=True)`` says of it, loaded with
            ``ignore_mismatched_sizes=True``.

    Raises:
        IncompleteError: weights are missing; the message names the first few and what to do.
        ModelError: weights are of another shape, or of layers that the model does not have.
    """
    kind = type(model).__name__
    if mismatched := sorted(info["mismatched_keys"]):
        name, stored, wanted = mismatched[0]
        raise ModelError(
            f"{_tensors(len(mismatched))} of the checkpoint and of {kind} differ in shape: {name} "
            f"is {[*stored]}, expected {[*wanted]}; bring weights and config.json of one model "
            "together"
        )
    if left_out := _left_out(model, info["unexpected_keys"]):
        raise ModelError(
            f"the checkpoint holds {_tensors(len(left_out))} of layers that its configuration "
            f"leaves out of {kind} ({left_out[0]}): bring weights and config.json of one model "
            "together"
        )
    missing = set(info["missing_keys"])
    if essential := sorted(name for name in missing if "pooler" not in name):
        named = ", ".join(essential[:_NAMED]) + (", ..." if len(essential) > _NAMED else "")
        raise IncompleteError(
            f"the checkpoint lacks {_tensors(len(essential))} of {kind}, which would be random "
            f"({named}): {_advice(essential, info['unexpected_keys'])}"
        )
    for name in missing:
        model.get_parameter(name).zero_()


def _left_out(model: HuggingFaceModel, unexpected: Collection[str]) -> list[str]:
    """Tensors named as the model's own are but for the numbers in it: of its layers, beyond them.

    Layers that predict further tokens, which some models have behind their last, are none of it.
    """
    if getattr(model.config, "num_nextn_predict_layers", None) or not unexpected:
        return []
    prefix = f"{model.base_model_prefix}."
    own = {_numberless(name, prefix) for name, _ in model.named_parameters()}
    return sorted(name for name in unexpected if _numberless(name, prefix) in own)


def _numberless(name: str, prefix: str) -> str:
    return _NUMBER.sub(".0.", name.removeprefix(prefix))


def _tensors(n: int) -> str:
    return count(n, "tensor")


def _advice(missing: Collection[str], unexpected: Collection[str]) -> str:
    """What to do about it, by how the tensors that the checkpoint does have are named."""
    found = {wrapper for name in unexpected for wrapper in _PLACES.findall(_settled(name))}
    for wrapper, (who, save) in _WRAPPERS.items():
        if wrapper in found and _explains(missing, unexpected):
            return f"its names have {wrapper!r} from {who}: {save} with save_pretrained"
    if any(mark in name for name in unexpected for mark in _ADAPTERS):
        return "it holds an adapter: save model.merge_and_unload() with save_pretrained"
    if before := _common_prefix(missing, unexpected):
        return f"its names have {before!r} before them: rename them, or save the model inside"
    return "expected a whole checkpoint, so copy or save it again"


def _settled(name: str) -> str:
    return name.replace("base_layer.", "")


def _explains(missing: Collection[str], unexpected: Collection[str]) -> bool:
    """Whether some missing tensor is there under a wrapper's name."""
    bare = [_PLACES.sub("", _settled(name)) for name in unexpected]
    return any(name.endswith(tuple(missing)) for name in bare) or any(
        name.endswith(tuple(bare)) for name in missing
    )


def _common_prefix(missing: Collection[str], unexpected: Collection[str]) -> str:
    """What stands before the names of most missing tensors; empty where they are not there."""
    wanted = set(missing)
    found: Counter[str] = Counter()
    for name in unexpected:
        parts = name.split(".")
        tails = (".".join(parts[at:]) for at in range(1, len(parts)))
        tail = next((tail for tail in tails if tail in wanted), None)
        found.update([] if tail is None else [name.removesuffix(tail)])
    return next((prefix for prefix, _ in found.most_common(1)), "")
