"""Linear modules, however they store their weights and whatever wraps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn


def features(module: Any) -> tuple[int, int] | None:
    """Inputs and outputs of a linear module, however its weight is stored; None of any other."""
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    if hasattr(module, "nx") and hasattr(module, "nf"):  # Conv1D of GPT-2
        return int(module.nx), int(module.nf)
    return None


def own(module: Any) -> Any:
    """The model's own module inside one of TransformerLens's; any other is its own."""
    return getattr(module, "original_component", module)


def linear_modules(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The linear modules of a block; those inside one, as of a LoRA adapter, are part of it."""
    inside = ""
    for name, module in block.named_modules():
        if features(module) is not None and not (inside and name.startswith(f"{inside}.")):
            inside = name
            yield name, module


def effective_weight(linear: Any) -> Tensor:
    """The weight that a linear module applies, with that of the LoRA adapters that are active."""
    weight: Tensor = linear.weight
    if not hasattr(linear, "lora_A") or linear.merged or linear.disable_adapters:
        return weight
    for adapter in set(linear.active_adapters) & set(linear.lora_A):
        weight = weight + linear.get_delta_weight(adapter)
    return weight


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises and does nothing else, by the names of its classes.

    RobertaPreLayerNormLayer is a block.
    """
    names = [type(part).__name__.lower() for part in module.modules()]
    return names[0].endswith("norm") or all("norm" in name for name in names)
