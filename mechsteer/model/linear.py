"""Linear modules, however they store their weights and whatever wraps them."""

from __future__ import annotations

from typing import Any


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
