"""Where a plain Hugging Face model takes its tokens, and how many kinds of them it knows."""

from __future__ import annotations

import sys

import torch

from mechsteer.model.hugging_face import HuggingFaceModel


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
