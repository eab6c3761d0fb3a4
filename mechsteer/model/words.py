"""What the words of a model are known by: a hash of its tokenizer, taken once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_KEPT = "_mechsteer_hash"  # where a tokenizer keeps it, with what it looked like then
_STEPS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256 of a tokenizer's vocabulary, special tokens and rules.

    Taken once for each tokenizer, since that reads megabytes of JSON for seconds, and again where
    its tokens, its special tokens, or a step before or after the vocabulary were changed.
    """
    looks = _looks(tokenizer)
    kept = vars(tokenizer).get(_KEPT)
    if kept is None or kept[0] != looks:
        kept = vars(tokenizer)[_KEPT] = looks, _hash(tokenizer)
    found: str = kept[1]
    return found


def _looks(tokenizer: Any) -> tuple[Any, ...]:
    """What of a tokenizer is seen at a glance and changes with it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    given = getattr(tokenizer, "added_tokens_decoder", {})
    steps = [getattr(backend, name, None) for name in _STEPS]
    states = [None if step is None else step.__getstate__() for step in steps]
    return len(tokenizer), _special(tokenizer), str(given), states


def _hash(tokenizer: Any) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    state = json.loads(backend.to_str()) if backend is not None else {}
    # what a call leaves behind
    for passing in ("padding", "truncation"):
        state.pop(passing, None)
    content = [tokenizer.get_vocab(), _special(tokenizer), state]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _special(tokenizer: Any) -> dict[str, str]:
    """Special tokens but the one that only ever fills space."""
    return {k: str(v) for k, v in tokenizer.special_tokens_map.items() if k != "pad_token"}
