"""Where a plain Hugging Face model takes its tokens."""

from __future__ import annotations

import torch

from mechsteer.model.hugging_face import HuggingFaceModel


def token_device(model: HuggingFaceModel) -> torch.device:
    """The device beside the embedding of a plain Hugging Face model.

    Weights that accelerate offloads have no device of their own; it then moves tokens from the CPU.
    """
    weight = model.get_input_embeddings().weight
    return torch.device("cpu") if weight.is_meta else torch.device(weight.device)
