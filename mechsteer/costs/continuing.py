"""Token ids continued: drawn by given uniform numbers, the same in batches of any size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.costs.drawing import draw
from mechsteer.display import Displayed, count
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.model.cached import require_correct_cache
from mechsteer.model.interface import Model
from mechsteer.model.writing import write
from mechsteer.recording.finite import remedy


@dataclass(frozen=True, repr=False)
class Generations(Displayed):
    """What a model wrote after a prompt: token ids without the prompt and the end, and text."""

    tokens: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]

    def _line(self) -> str:
        return f"{count(len(self.texts), 'text')} of {sum(map(len, self.tokens)):,} tokens"

    def _shown(self) -> pd.DataFrame:
        return pd.DataFrame({"tokens": list(map(len, self.tokens)), "text": self.texts})


@dataclass(frozen=True)
class Drawing:
    """How words are drawn, and how many texts are written at once.

    Raises:
        MechsteerError: options out of range.
    """

    n: int
    max_new_tokens: int
    batch_size: int
    temperature: float
    top_p: float
    seed: int

    def __post_init__(self) -> None:
        counts = (self.n, self.max_new_tokens, self.batch_size)
        whole = all(type(count) is int and count >= 1 for count in counts)
        if not whole or not 0 <= self.temperature < float("inf") or not 0 < self.top_p <= 1:
            raise MechsteerError(
                "expected n, max_new_tokens and batch_size of 1 or more, temperature >= 0 and "
                f"0 < top_p <= 1, got {self.n}, {self.max_new_tokens}, {self.batch_size}, "
                f"{self.temperature}, {self.top_p}"
            )
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise MechsteerError(f"expected a seed from 0 to 2^63 - 1, got {self.seed!r}")

    def uniform(self, seed: int, n: int) -> Float[Tensor, "row step"]:
        """Numbers in [0, 1) of a seed, for n texts."""
        numbers = torch.Generator().manual_seed(seed)
        return torch.rand(n, self.max_new_tokens, generator=numbers, dtype=torch.float64)


def continued(
    model: Model,
    starts: Sequence[list[int]],
    uniform: Float[Tensor, "row step"],
    tokenizer: Any,
    how: Drawing,
) -> Generations:
    """What each start goes on with; those of one length are read together, so none is padded.

    Raises:
        MechsteerError: a prompt that leaves no room in the context.
        ModelError: a model that writes something else with a cache than without, or logits that are
            not finite.
    """
    longest, context = max(map(len, starts)), model.context_length(tokenizer)
    if longest + how.max_new_tokens > context:
        raise MechsteerError(
            f"the prompt has {longest} tokens and the model takes {context}: "
            f"{how.max_new_tokens} new ones do not fit, ask for fewer"
        )
    ends = _ends(model, tokenizer)
    require_correct_cache(model)
    found: dict[int, tuple[int, ...]] = {}
    for rows in _alike(starts, how.batch_size):
        written = _written(model, [starts[row] for row in rows], uniform[rows], ends, how)
        found |= {row: _until(ids, ends) for row, ids in zip(rows, written.tolist(), strict=True)}
    tokens = tuple(found[row] for row in range(len(starts)))
    texts = tuple(tokenizer.decode(ids, skip_special_tokens=True) for ids in tokens)
    return Generations(tokens, texts)


def _alike(starts: Sequence[list[int]], batch_size: int) -> Iterator[list[int]]:
    """Rows of equal length, in batches."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for row, start in enumerate(starts):
        by_length[len(start)].append(row)
    for rows in by_length.values():
        for first in range(0, len(rows), batch_size):
            yield rows[first : first + batch_size]


def _written(
    model: Model,
    starts: Sequence[list[int]],
    uniform: Float[Tensor, "row step"],
    ends: set[int],
    how: Drawing,
) -> Int[Tensor, "row written"]:
    """What each row goes on with, until all have ended."""
    steps = iter(uniform.T)

    def choose(logits: Float[Tensor, "row word"]) -> Int[Tensor, " row"]:
        if not bool(logits.amax(-1).isfinite().all()):  # -inf alone is a word ruled out
            raise ModelError(f"the model's logits are not finite: {remedy(model.dtype)}")
        return draw(logits, next(steps), temperature=how.temperature, top_p=how.top_p)

    ids = torch.tensor(list(starts), device=model.input_device)
    return write(model, ids, uniform.shape[1], choose, ends=ends).cpu()


def _ends(model: Model, tokenizer: Any) -> set[int]:
    """Tokens that end a text, by the tokenizer and by the checkpoint's own settings."""
    settings = getattr(model.original_model, "generation_config", None)
    named = getattr(settings, "eos_token_id", None)
    several = named if isinstance(named, list) else [named]
    return {int(token) for token in (tokenizer.eos_token_id, *several) if token is not None}


def _until(tokens: list[int], ends: set[int]) -> tuple[int, ...]:
    stop = next((at for at, token in enumerate(tokens) if token in ends), len(tokens))
    return tuple(tokens[:stop])
