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

    chosen = _Chosen(choose)
    stop = sorted(ends) or None
    settings = GenerationConfig(
        max_new_tokens=n,
        do_sample=False,
        use_cache=cache,
        eos_token_id=stop,
        pad_token_id=stop[0] if stop else 0,
        decoder_start_token_id=getattr(model.original_model.config, "decoder_start_token_id", None),
    )
    plain = model.original_model
    with model.facts.lock, _settings(plain, settings), chosen.reading(plain):  # threads take turns
        written: Tensor = plain.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
            logits_processor=LogitsProcessorList([lambda ids, logits: chosen]),
        )
    return written[:, ids.shape[1] :]


class _Chosen:
    """Stands for scores whose largest is the chosen word.

    Words are chosen as the model's pass ends. Of its logits transformers would make a copy, and
    look for the largest in it, which for 262,144 words and 64 rows takes a tenth of the pass.
    """

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._words: Tensor | None = None

    @contextmanager
    def reading(self, plain: Any) -> Iterator[None]:
        """Within, every pass of the model ends with a choice."""
        handle = plain.register_forward_hook(self._read)
        try:
            yield
        finally:
            handle.remove()

    def _read(self, plain: Any, args: Any, output: Any) -> Any:
        logits = output.logits[:, -1]
        self._words = self._choose(logits.float()).to(logits.device)
        output.logits = output.logits[:, -1:, :1]
        return output

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if function is not torch.argmax:
            return NotImplemented
        return args[0]._words


@contextmanager
def _settings(plain: Any, settings: Any) -> Iterator[None]:
    """Within, a model has these settings: transformers fills in from its own what is not said."""
    before = plain.generation_config
    plain.generation_config = settings
    try:
        yield
    finally:
        plain.generation_config = before
