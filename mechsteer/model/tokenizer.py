"""The plain tokenizer of a model: the checkpoint's own, padding on the right."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from mechsteer.errors import ModelError

_SIDE = "_mechsteer_padding_side"  # where a tokenizer keeps the side that its files say


def load_tokenizer(source: str, *, revision: str | None = None) -> Any:
    """The tokenizer saved with a model.

    Args:
        source: the model's name or folder.
        revision: the commit that the model was loaded from.

    Raises:
        ModelError: there is none; the message says what to type.
    """
    from transformers import AutoTokenizer

    try:
        if not source:
            raise OSError("a model without a name")
        found = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    except Exception as error:
        raise ModelError(
            f"cannot find the plain tokenizer of this model (it names {source!r}): pass "
            "tokenizer=AutoTokenizer.from_pretrained(...), or wrap the model with it once: "
            "model = ms.wrap(model, tokenizer=...)"
        ) from error
    return settled(found)


def copied(tokenizer: Any) -> Any:
    """A copy of a user's tokenizer, which stays as it is.

    Raises:
        ModelError: it is no Hugging Face tokenizer.
    """
    if not callable(tokenizer) or not hasattr(tokenizer, "model_max_length"):
        raise ModelError(
            f"expected a Hugging Face tokenizer, got {type(tokenizer).__name__}: "
            "pass tokenizer=AutoTokenizer.from_pretrained(...)"
        )
    return deepcopy(tokenizer)


def settled(tokenizer: Any) -> Any:
    """The same tokenizer, padding on the right with a token there is."""
    vars(tokenizer).setdefault(_SIDE, tokenizer.padding_side)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def as_published(tokenizer: Any) -> Any:
    """A copy that pads on the side that the tokenizer's own files say, as generation needs it."""
    own = deepcopy(tokenizer)
    own.padding_side = vars(own).pop(_SIDE, own.padding_side)
    return own
