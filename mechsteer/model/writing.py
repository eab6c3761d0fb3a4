"""Text written by transformers' own loop, with tokens that the caller chooses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.model.interface import Model

Choose = Callable[[Float[Tensor, "row word"]], Int[Tensor, " row"]]
"""Which word each row goes on with, from the model's logits in float32."""


@torch.inference_mode()
def write(
    model: Model,
    ids: Int[Tensor, "row token"],
    n: int,
    choose: Choose,
    *,
    ends: Collection[int] = (),
    cache: bool = True,
) -> Int[Tensor, "row written"]:
    """Continue token ids; positions, masks and caches of each step are prepared by transformers.

    What a checkpoint's settings for generation say (penalties, words that are forced or kept out)
    is left aside: ``choose`` gets the logits as they are.

    Args:
        model: one that generates.
        ids: prompts without padding.
        n: tokens to write.
        choose: is called once a step.
        ends: tokens after which a row is padded; writing ends when all rows have.
        cache: whether to keep keys and values from step to step.
    """
    from transformers import GenerationConfig, LogitsProcessorList

    def only(_: Tensor, logits: Tensor) -> Tensor:
        chosen = choose(logits).to(logits.device)[:, None]
        return logits.fill_(-torch.inf).scatter_(1, chosen, 0.0)  # transformers' copy, in place

    stop = sorted(ends) or None
    settings = GenerationConfig(
        max_new_tokens=n,
        do_sample=False,
        use_cache=cache,
        eos_token_id=stop,
        pad_token_id=stop[0] if stop else 0,
        decoder_start_token_id=getattr(model.original_model.config, "decoder_start_token_id", None),
    )
    with model.facts.lock, _settings(model.original_model, settings):  # threads take turns
        written: Tensor = model.original_model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
            logits_processor=LogitsProcessorList([only]),
        )
    return written[:, ids.shape[1] :]


@contextmanager
def _settings(plain: Any, settings: Any) -> Iterator[None]:
    """Within, a model has these settings: transformers fills in from its own what is not said."""
    before = plain.generation_config
    plain.generation_config = settings
    try:
        yield
    finally:
        plain.generation_config = before
