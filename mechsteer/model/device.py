"""Where a model runs and how precisely: what is asked for, and which tokens it takes where."""

from __future__ import annotations

import os
import sys

import torch

from mechsteer.errors import ModelError, shown
from mechsteer.model.hugging_face import HuggingFaceModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Precisions by the names that a user types."""


def usable_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, by default the GPU where there is one.

    Raises:
        ModelError: it is no device, or this machine has none such that computes.
    """
    try:
        found = torch.device(device or _usual())
        if found.type == "meta":
            raise ModelError("the device 'meta' holds no numbers: expected cpu or cuda")
        torch.ones(1, device=found).add_(1)
    except ModelError:
        raise
    except Exception as error:  # each backend has its own
        there = f"cpu or cuda (0 to {torch.cuda.device_count() - 1})"
        known = there if torch.cuda.is_available() else "cpu"
        raise ModelError(f"no such device here: {shown(device)}; expected {known}") from error
    return found


def usable_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """The precision asked for, by torch's type or its name; None stays None.

    Raises:
        ModelError: another name, or a type that holds no fractions.
    """
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if dtype is not None and (found is None or not found.is_floating_point):
        raise ModelError(f"expected dtype {' or '.join(DTYPES)}, got {shown(dtype)}")
    return found


def _usual() -> str:
    """The GPU where there is one; of several ranks on a machine each has its own."""
    if not torch.cuda.is_available():
        return "cpu"
    rank = os.environ.get("LOCAL_RANK", "")
    return f"cuda:{int(rank) % torch.cuda.device_count()}" if rank.isdigit() else "cuda"


def token_device(model: HuggingFaceModel) -> torch.device:
    """The device beside the embedding of a plain Hugging Face model.

    Weights that accelerate offloads have no device of their own; it then moves tokens from the CPU.
    """
    weight = _embedding(model)
    if weight is None:  # several embeddings, or none, as of models of sound
        weight = next(model.parameters())
    return torch.device("cpu") if weight.is_meta else torch.device(weight.device)


def n_embedded(model: HuggingFaceModel) -> int:
    """Token ids that a plain Hugging Face model has an embedding of: those below this number."""
    weight = _embedding(model)
    return sys.maxsize if weight is None else int(weight.shape[0])


def _embedding(model: HuggingFaceModel) -> torch.Tensor | None:
    return getattr(model.get_input_embeddings(), "weight", None)
