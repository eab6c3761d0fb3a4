"""What users call a model, taken for one at the border: a bridge, a Hugging Face model, a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.model.tokenizer import copied
from mechsteer.model.views import no_model, view_of
from mechsteer.progress import with_bars

ModelLike = Model | nn.Module | str | Path
"""A ``Model``, a TransformerBridge, a Hugging Face or PEFT model, or what ``load_model`` takes."""


@with_bars
def wrap(model: ModelLike, tokenizer: Any = None, *, progress: bool = True) -> Model:
    """What mechsteer makes of a model: call it once to name a tokenizer, or to hold the ``Model``.

    A Hugging Face or PEFT model is read in place and stays as it is, with the attention it was
    loaded with: what is measured and steered is the user's own object. Eager attention is what is
    bit for bit that of a TransformerBridge. A name is loaded anew with ``load_model``.

    Args:
        model: a ``Model``, a TransformerBridge, a Hugging Face or PEFT model, a published model's
            name, a checkpoint or adapter folder, or "embedded".
        tokenizer: its plain tokenizer, copied; found by the model's name by default.
        progress: show bars where a terminal watches.

    Raises:
        ModelError: it is no model, or one whose neurons cannot be told for certain.
    """
    return as_model(model, tokenizer)


def as_model(model: ModelLike, tokenizer: Any = None) -> Model:
    """``wrap``, at the border of each public function."""
    if isinstance(model, Model):
        view = model
    elif isinstance(model, (str, Path)):
        view = load_model(model)
    elif isinstance(model, nn.Module):
        view = view_of(model, tokenizer)
    else:
        raise no_model(model)
    if tokenizer is not None:
        view.plain_tokenizer = copied(tokenizer)
    return view
