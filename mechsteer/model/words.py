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
    """Of a tokenizer's own JSON, as text: a large one takes seconds to read and to write again."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = _state(backend) if backend is not None else json.dumps(_vocabulary(tokenizer))
    special = json.dumps(_special(tokenizer), sort_keys=True)
    return hashlib.sha256(f"{special}\n{words}".encode()).hexdigest()


def _state(backend: Any) -> str:
    """Vocabulary, in the order of its numbers, and rules, without what a call leaves behind."""
    text: str = backend.to_str()
    for passing in ("truncation", "padding"):  # at the top, and none of the words comes before
        start = text.index(key := f'"{passing}":')
        _, end = json.JSONDecoder().raw_decode(text, start + len(key))
        text = text[:start] + text[end:]
    return text


def _vocabulary(tokenizer: Any) -> list[tuple[str, int]]:
    return sorted(tokenizer.get_vocab().items())


def _special(tokenizer: Any) -> dict[str, str]:
    """Special tokens but the one that only ever fills space."""
    return {k: str(v) for k, v in tokenizer.special_tokens_map.items() if k != "pad_token"}
