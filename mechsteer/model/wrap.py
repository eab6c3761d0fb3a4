"""What users call a model, taken for one at the border: a bridge, a Hugging Face model, a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.model.tokenizer import copied
from mechsteer.model.views import no_model, view_of

ModelLike = Model | nn.Module | str | Path
"""A ``Model``, a TransformerBridge, a Hugging Face or PEFT model, or what ``load_model`` takes."""


def as_model(model: ModelLike, tokenizer: Any = None) -> Model:
    """The view of a model; a module is wrapped once and keeps its view.

    Args:
        model: see ``ModelLike``.
        tokenizer: the plain tokenizer of a model that does not say where its own lies.

    Raises:
        ModelError: it is no model, or one whose neurons cannot be told for certain.
    """
    if isinstance(model, Model):
        view = model
    elif isinstance(model, (str, Path)):
        view = load_model(model)
    elif isinstance(model, nn.Module):
        view = view_of(model)
    else:
        raise no_model(model)
    if tokenizer is not None:
        view.plain_tokenizer = copied(tokenizer)
    return view
