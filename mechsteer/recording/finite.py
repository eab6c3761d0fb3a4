"""What to do where a model computes what is no number: said in one way everywhere."""

from __future__ import annotations

import torch


def remedy(dtype: torch.dtype) -> str:
    """What to type when activations or logits are not finite in a precision."""
    if dtype == torch.float16:
        return (
            "float16 ends at 65504, so load the model with dtype=torch.bfloat16 or torch.float32 "
            "(--dtype bfloat16 or float32), or take a smaller strength if edits are on"
        )
    name = str(dtype).removeprefix("torch.")
    other = "" if dtype == torch.float32 else ", load it in float32 (--dtype float32)"
    return f"take a smaller strength if edits are on{other}, or check the weights ({name})"
