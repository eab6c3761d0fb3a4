"""Text that a model writes: seeded, the same whatever the batch, and paired before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.costs.drawing import draw
from mechsteer.costs.windows import opening
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.model.cached import require_correct_cache
from mechsteer.model.interface import Model
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.model.writing import write
from mechsteer.recording.finite import remedy
from mechsteer.recording.tokens import require_known, tokenize


@dataclass(frozen=True)
class Generations:
    """What a model wrote after a prompt: token ids without the prompt and the end, and text."""

    tokens: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]


def sample(
    model: ModelLike,
    n: int = 1,
    *,
    prompt: str = "",
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    tokenizer: Any = None,
    batch_size: int = 64,
) -> Generations:
    """Let a model continue a prompt ``n`` times; edits that are installed act.

    Token t of continuation i is where the i-th row's t-th uniform number of ``seed`` falls in the
    cumulative distribution over the words, most probable first, cut at the smallest set of
    probability ``top_p`` or more (Holtzman et al. 2020). So a seed means the same numbers before
    and after an edit and in batches of any size, and no global seed is read or set.

    Args:
        model: a causal one in eval mode, whatever ``mechsteer.wrap`` takes.
        n: continuations.
        prompt: empty for text from the very start; the special tokens that the tokenizer puts
            before a text go before it (see ``windows.opening``).
        max_new_tokens: tokens of each continuation; fewer where the model ends it.
        temperature: logits are divided by it; 0 takes the most probable word each time.
        top_p: probability that the words to choose from have together.
        seed: of the uniform numbers.
        tokenizer: the model's plain one by default.
        batch_size: continuations written at once.

    Raises:
        MechsteerError: options out of range, or a prompt that leaves no room in the context.
        ModelError: train mode, a model that is not causal, one that writes something else with a
            cache than without, or logits that are not finite.
    """
    model = as_model(model)
    model.require_eval()
    model.require_causal()
    counts = (n, max_new_tokens, batch_size)
    whole = all(type(count) is int and count >= 1 for count in counts)
    if not whole or not 0 <= temperature < float("inf") or not 0 < top_p <= 1:
        raise MechsteerError(
            "expected n, max_new_tokens and batch_size of 1 or more, temperature >= 0 and "
            f"0 < top_p <= 1, got {n}, {max_new_tokens}, {batch_size}, {temperature}, {top_p}"
        )
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise MechsteerError(f"expected a seed from 0 to 2^63 - 1, got {seed!r}")
    tokenizer = tokenizer or model.plain_tokenizer
    start = _prompt(tokenizer, prompt, model.n_words)
    context = model.context_length(tokenizer)
    if len(start) + max_new_tokens > context:
        raise MechsteerError(
            f"the prompt has {len(start)} tokens and the model takes {context}: "
            f"{max_new_tokens} new ones do not fit, ask for fewer"
        )
    numbers = torch.Generator().manual_seed(seed)
    uniform = torch.rand(n, max_new_tokens, generator=numbers, dtype=torch.float64)
    ends = _ends(model, tokenizer)
    require_correct_cache(model)
    tokens: list[tuple[int, ...]] = []
    for first in range(0, n, batch_size):
        rows = uniform[first : first + batch_size]
        written = _written(model, start, rows, ends, temperature=temperature, top_p=top_p)
        tokens += [_until(row, ends) for row in written.tolist()]
    texts = tuple(tokenizer.decode(ids, skip_special_tokens=True) for ids in tokens)
    return Generations(tuple(tokens), texts)


def _prompt(tokenizer: Any, prompt: str, n_words: int) -> list[int]:
    """A prompt as the tokenizer opens it; only an empty one is given an opening it lacks."""
    if not prompt:
        return opening(tokenizer)
    tokens = next(tokenize([prompt], tokenizer))
    require_known(tokens, tokenizer, n_words, "the prompt")
    end = len(tokens.ids) - int(tokens.added[::-1].argmin())  # without what the template appends
    return [int(token) for token in tokens.ids[:end]]


def _written(
    model: Model,
    start: list[int],
    uniform: Float[Tensor, "row step"],
    ends: set[int],
    *,
    temperature: float,
    top_p: float,
) -> Int[Tensor, "row written"]:
    """What each row goes on with, until all have ended."""
    steps = iter(uniform.T)

    def choose(logits: Float[Tensor, "row word"]) -> Int[Tensor, " row"]:
        if not bool(logits.amax(-1).isfinite().all()):  # -inf alone is a word ruled out
            raise ModelError(f"the model's logits are not finite: {remedy(model.dtype)}")
        return draw(logits, next(steps), temperature=temperature, top_p=top_p)

    ids = torch.tensor([start] * len(uniform), device=model.input_device)
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
