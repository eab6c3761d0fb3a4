"""Which positions of a forward pass an edit acts on, read off the pass's own arguments."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.interface import Model
from mechsteer.recording.counted import counted_tokens
from mechsteer.recording.tokens import special_ids
from mechsteer.steering.generation import Call, Generation, forget, watch
from mechsteer.steering.owner import own_thread

Positions = Literal["all", "content", "last", "generated"]


class PositionMask:
    """The positions that edits of one scope act on, renewed at each forward pass of a stack.

    It listens at the module that every path runs through (``forward``, ``run_with_hooks``,
    ``run_with_cache``, ``generate``, ``hf_generate``, the wrapped model itself): the encoder or the
    decoder where there are two, which run a different number of times and read different tokens,
    and the wrapped model elsewhere. The prompt of a decoder is what its first pass reads, and an
    encoder reads nothing but a prompt. Edits read
    ``mask``: ``[batch, token]`` of the positions to edit, None for every one; ``nothing`` says that
    there are none.
    """

    def __init__(self, model: Model, stack: str, positions: Positions, tokenizer: Any) -> None:
        self.mask: Bool[Tensor, "batch token"] | None = None
        self.nothing = False
        self._positions = positions
        self._special = special_ids(tokenizer) if positions == "content" else ()
        self._stack = stack
        reader = _reader(model.original_model, stack)
        self._names = _argument_names(reader)
        self._model = model
        self._watches = positions in ("last", "generated")
        self._generation = watch(model) if self._watches else Generation()
        self._call: Call | None = None
        self._prompt = 0
        self._require_own = own_thread()
        self._listener = reader.register_forward_pre_hook(self._before_forward, with_kwargs=True)

    def remove(self) -> None:
        """Stop listening; calling it again does nothing."""
        self._listener.remove()
        if self._watches:
            forget(self._model)
            self._watches = False

    def _before_forward(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._require_own()
        given = dict(zip(self._names, args, strict=False)) | kwargs
        tokens = given.get("input_ids")
        read = given.get("inputs_embeds") if tokens is None else tokens
        if read is None:
            raise MechsteerError(
                "cannot tell which tokens this pass reads: expected input_ids or inputs_embeds"
            )
        mask = _attention(given)
        past = _past(given, mask, read.shape[1])
        real = None if mask is None else mask[:, past:]
        if self._positions == "content":
            real = self._content(tokens, real, past)
        elif self._positions != "all":
            self._find_prompt(past, read.shape[1])
            real = self._from_prompt(mask, past, read)
        self.mask = None if real is None or bool(real.all()) else real
        self.nothing = self.mask is not None and not bool(self.mask.any())
        if self.nothing and self._positions == "generated" and self._generation.call is None:
            warnings.warn(
                'positions="generated" is empty in a plain forward pass, so nothing was edited: '
                "generate, or pass the generated part with the cache of its prompt",
                stacklevel=2,
            )

    def _content(
        self,
        tokens: Int[Tensor, "batch token"] | None,
        mask: Bool[Tensor, "batch token"] | None,
        past: int,
    ) -> Bool[Tensor, "batch token"]:
        """Real tokens: those that whoever runs this pass counts, or else told by their ids."""
        real = counted_tokens(self._model)
        if real is None:
            real = _words(tokens, mask, self._special)
            if self._stack == "decoder" and past == 0:
                real[:, 0] = False  # the start token, which need not be a special one
        elif self._stack == "decoder":  # it reads the same tokens, one to the right
            real = torch.cat([torch.zeros_like(real[:, :1]), real[:, :-1]], dim=1)
        return real

    def _find_prompt(self, past: int, n_tokens: int) -> None:
        """Length of the prompt: what a call of ``generate`` says, or else its first pass reads.

        Outside of one, a pass that continues a cache generates, and any other is all prompt.
        """
        call = self._generation.call
        if call is None:
            self._prompt = past or n_tokens
        elif call is not self._call:
            known = None if self._stack else call.n_tokens
            self._prompt = past + n_tokens if known is None else known
        self._call = call

    def _from_prompt(
        self, mask: Bool[Tensor, "batch seen"] | None, past: int, read: Tensor
    ) -> Bool[Tensor, "batch token"] | None:
        """Positions after the prompt, and its last real one in each row where that is wanted."""
        start: int | Tensor = self._prompt - (self._positions == "last")
        if start <= past:
            return None if mask is None else mask[:, past:]
        column = torch.arange(past, past + read.shape[1], device=read.device)
        if mask is None:
            return (column >= start).expand(len(read), -1)
        mask = mask.to(read.device)
        if self._positions == "last":  # padding may follow a prompt
            start = start - self._padding_after(mask)
        return (column >= start) & mask[:, past:]

    def _padding_after(self, mask: Bool[Tensor, "batch seen"]) -> Int[Tensor, "batch 1"]:
        """Number of positions after the last real one of each row's prompt."""
        whole = None if self._call is None or self._stack else self._call.mask
        if whole is None:
            whole = mask
        if whole.shape[1] < self._prompt and len(mask) > 1:
            raise MechsteerError(
                "the prompts are read in parts, and what pads them is not known at the first: "
                "pass attention_mask to generate"
            )
        whole = whole.to(mask.device).repeat_interleave(len(mask) // len(whole), 0)  # beams
        return whole[:, : self._prompt].flip(1).int().argmax(1, keepdim=True)


def _reader(model: HuggingFaceModel, stack: str) -> Any:
    """The module of a plain model that reads the tokens of a stack."""
    return getattr(model, f"get_{stack}")() if stack else model


def _argument_names(reader: Any) -> tuple[str, ...]:
    """Arguments of a module's ``forward``; one that nnsight put there names ``self`` too."""
    return tuple(name for name in inspect.signature(reader.forward).parameters if name != "self")


def _attention(given: Mapping[str, Any]) -> Bool[Tensor, "_batch _seen"] | None:
    mask = given.get("attention_mask")
    if mask is not None and (not isinstance(mask, Tensor) or mask.ndim != 2):
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise MechsteerError(
            f"expected attention_mask [batch, token] to tell padding by, got {shape}: "
            "steer with the plain mask, and generate with a dynamic cache"
        )
    return None if mask is None else mask.bool()


def _past(given: Mapping[str, Any], mask: Tensor | None, n_tokens: int) -> int:
    """Number of tokens in the cache: a mask covers them too."""
    if mask is not None:
        return int(mask.shape[1]) - n_tokens
    cache = given.get("past_key_values")
    return 0 if cache is None else int(cache.get_seq_length())


def _words(
    tokens: Int[Tensor, "batch token"] | None,
    real: Bool[Tensor, "batch token"] | None,
    special: Sequence[int],
) -> Bool[Tensor, "batch token"]:
    if tokens is None:
        raise MechsteerError(
            'positions="content" tells special tokens by their ids, and this pass got embeddings: '
            'pass token ids, or steer with positions="all"'
        )
    content = ~torch.isin(tokens, torch.tensor(special, device=tokens.device))
    return content if real is None else content & real.to(content.device)
