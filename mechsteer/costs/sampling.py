"""Text that a model writes: seeded, the same whatever the batch, and paired before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from mechsteer.costs.continuing import Drawing, Generations, continued
from mechsteer.costs.windows import opening
from mechsteer.errors import MechsteerError
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import with_bars
from mechsteer.recording.tokens import require_known, tokenize

__all__ = ["Generations", "respond", "sample"]


@with_bars
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
    progress: bool = True,
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
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: options out of range, or a prompt that leaves no room in the context.
        ModelError: train mode, a model that is not causal, one that writes something else with a
            cache than without, or logits that are not finite.
    """
    model = as_model(model)
    model.require_eval()
    model.require_causal()
    how = Drawing(n, max_new_tokens, batch_size, temperature, top_p, seed)
    tokenizer = tokenizer or model.plain_tokenizer
    start = _prompt(tokenizer, prompt, model.n_words)
    return continued(model, [start] * n, how.uniform(seed, n), tokenizer, how)


@with_bars
def respond(
    model: ModelLike,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 40,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    chat: bool = False,
    tokenizer: Any = None,
    batch_size: int = 64,
    progress: bool = True,
) -> Generations:
    """Let a model continue each of several prompts once; edits that are installed act.

    Prompts of equally many tokens are read together, so that none is padded: what a model writes
    is the same in batches of any size. The uniform numbers of a prompt depend on the seed and on
    the prompt alone, not on its neighbours.

    Args:
        model: see ``sample``.
        prompts: in any order; of an empty one, see ``sample``.
        max_new_tokens: see ``sample``.
        temperature: see ``sample``.
        top_p: see ``sample``.
        seed: see ``sample``.
        chat: give each prompt as a user's turn in the tokenizer's chat template.
        tokenizer: the model's plain one by default.
        batch_size: prompts continued at once, at most.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: what ``sample`` refuses, no prompt, or no chat template.
        ModelError: what ``sample`` refuses.
    """
    model = as_model(model)
    model.require_eval()
    model.require_causal()
    how = Drawing(len(prompts), max_new_tokens, batch_size, temperature, top_p, seed)
    tokenizer = tokenizer or model.plain_tokenizer
    starts = [
        _turn(tokenizer, prompt) if chat else _prompt(tokenizer, prompt, model.n_words)
        for prompt in prompts
    ]
    uniform = torch.cat([how.uniform(_seed(seed, prompt), 1) for prompt in prompts])
    return continued(model, starts, uniform, tokenizer, how)


def _seed(seed: int, prompt: str) -> int:
    digest = hashlib.sha256(f"{seed} {prompt}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big")


def _turn(tokenizer: Any, prompt: str) -> list[int]:
    """A prompt as the user's turn of a chat, and the start of the answer."""
    if not getattr(tokenizer, "chat_template", None):
        raise MechsteerError("the tokenizer has no chat template: leave chat out")
    turn = [{"role": "user", "content": prompt}]
    found = tokenizer.apply_chat_template(
        turn, add_generation_prompt=True, tokenize=True, return_dict=False
    )
    return [int(token) for token in found]


def _prompt(tokenizer: Any, prompt: str, n_words: int) -> list[int]:
    """A prompt as the tokenizer opens it; only an empty one is given an opening it lacks."""
    if not prompt:
        return opening(tokenizer)
    tokens = next(tokenize([prompt], tokenizer))
    require_known(tokens, tokenizer, n_words, "the prompt")
    end = len(tokens.ids) - int(tokens.added[::-1].argmin())  # without what the template appends
    return [int(token) for token in tokens.ids[:end]]
