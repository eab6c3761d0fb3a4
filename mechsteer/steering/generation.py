"""Which call of ``generate`` is running, and where its prompt ends: only that call knows.

Without a cache each step is an ordinary forward pass over everything so far; assisted decoding
reads candidates along with the prompt, and chunked prefill a part of it. So while edits that count
from the prompt are installed, the model's ``generate`` functions say when they start, how long the
prompt is that they got, and when they return. The wrappers are shared by all scopes of a model and
go with the last one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from threading import get_ident
from typing import Any

from jaxtyping import Int
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.model.cached import keeps_cache, require_correct_cache
from mechsteer.model.decoder import is_encoder_decoder
from mechsteer.model.interface import Model
from mechsteer.model.view import Writer

_KEPT = "_mechsteer_generation"  # where a model keeps its Generation while somebody watches
_IN_PARTS = (  # options of transformers with which the first pass does not read just the prompt
    *("assistant_model", "assistant_early_exit", "prompt_lookup_num_tokens"),
    "prefill_chunk_size",
)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of ``generate``; each is itself alone, whatever it holds.

    Attributes:
        n_tokens: length of the prompt, padding and what a cache holds of it included; None where
            the first pass of the call reads just the prompt.
        mask: 1 where the prompt is not padding, if it was said.
    """

    n_tokens: int | None = None
    mask: Int[Tensor, "sentence token"] | None = None


class Generation:
    """The call of ``generate`` that is running in this thread, None outside of one."""

    def __init__(self) -> None:
        self._calls: dict[int, Call | None] = {}  # by thread
        self.scopes = 0
        self.counting = 0  # those of them that count from the prompt
        self.notes: list[str] = []  # what to say, once, when the model begins to write

    def announce(self) -> None:
        """Say what is to be said before the model writes."""
        while self.notes:
            warnings.warn(self.notes.pop(), stacklevel=4)

    @property
    def call(self) -> Call | None:
        """Of this thread."""
        return self._calls.get(get_ident())

    @contextmanager
    def running(self, call: Call) -> Iterator[None]:
        """Within, ``call`` generates."""
        outer, self._calls[get_ident()] = self.call, call
        try:
            yield
        finally:
            self._calls[get_ident()] = outer


def watch(model: Model, *, counting: bool = True) -> Generation:
    """Begin to tell when a model generates, for one more scope, which may count from the prompt.

    As long as anybody watches, generation with a cache is refused where it is wrong, see
    ``mechsteer.model.cached``.
    """
    kept = vars(model.original_model)
    if _KEPT not in kept:
        generation = kept[_KEPT] = Generation()
        for owner, name, wrap in _generators(model):
            vars(owner)[name] = wrap(getattr(owner, name), generation)
    watched: Generation = kept[_KEPT]
    watched.scopes += 1
    watched.counting += counting
    return watched


def forget(model: Model, *, counting: bool = True) -> None:
    """End it for one scope; the last one leaves the functions that were there before."""
    kept = vars(model.original_model)
    kept[_KEPT].scopes -= 1
    kept[_KEPT].counting -= counting
    if kept[_KEPT].scopes == 0:
        del kept[_KEPT]
        for owner, name, _ in _generators(model):
            before = vars(owner).pop(name).__wrapped__
            if before != getattr(owner, name):  # somebody had put a function of their own there
                vars(owner)[name] = before


def _generators(model: Model) -> list[tuple[Any, str, Callable[..., Any]]]:
    """Functions that generate; the bridge's ``hf_generate`` calls the wrapped model's own."""
    plain = model.original_model
    own = partial(_whole, model=model, writer="transformers", told=partial(_call, plain))
    known: list[tuple[Any, str, Callable[..., Any]]] = [
        (plain, "generate", own),
        (plain, "generate_batch", _refused),
        (plain, "init_continuous_batching", _refused),
    ]
    if model.module is not plain:
        known += [
            (model.module, "generate", partial(_whole, model=model, writer=model.writer)),
            (model.module, "generate_stream", partial(_stream, model=model)),
        ]
    return [(owner, name, wrap) for owner, name, wrap in known if hasattr(owner, name)]


def _whole(
    generate: Callable[..., Any],
    generation: Generation,
    *,
    model: Model,
    writer: Writer,
    told: Callable[..., Call] | None = None,
) -> Callable[..., Any]:
    @wraps(generate)
    def generating(*args: Any, **kwargs: Any) -> Any:
        if keeps_cache(model, args, kwargs):
            require_correct_cache(model, writer)
        generation.announce()
        call = told(*args, **kwargs) if told and generation.counting else Call()
        with generation.running(call):
            return generate(*args, **kwargs)

    return generating


def _stream(
    generate: Callable[..., Any], generation: Generation, *, model: Model
) -> Callable[..., Any]:
    @wraps(generate)
    def generating(*args: Any, **kwargs: Any) -> Iterator[Any]:
        if keeps_cache(model, args, kwargs):
            require_correct_cache(model, model.writer)
        generation.announce()
        call, steps = Call(), generate(*args, **kwargs)
        while True:  # the caller may run the model between two steps
            with generation.running(call):
                step = next(steps, generation)
            if step is generation:
                return
            yield step

    return generating


def _refused(generate: Callable[..., Any], generation: Generation) -> Callable[..., Any]:
    @wraps(generate)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        if not generation.counting:
            return generate(*args, **kwargs)
        raise MechsteerError(
            f'{generate.__name__} packs several prompts into one row, and positions="last" '
            'and "generated" count from a prompt: use generate, or positions="all"'
        )

    return refuse


def _call(plain: Any, inputs: Any = None, generation_config: Any = None, **kwargs: Any) -> Call:
    """The prompt of a call of transformers' ``generate``, from its own arguments.

    A prompt that goes on from a filled cache is either whole or its new part with a mask over all,
    so the longer of tokens and mask is its length.
    """
    settings = generation_config or getattr(plain, "generation_config", None)
    parts = [o for o in _IN_PARTS if kwargs.get(o, getattr(settings, o, None)) is not None]
    if is_encoder_decoder(plain):
        if parts:
            raise MechsteerError(
                f'positions="last" and "generated" cannot tell where the prompt of a decoder ends '
                f'with {parts[0]}: generate without it, or with positions="all"'
            )
        return Call()
    ids = kwargs.get("input_ids") if inputs is None else inputs
    embeds, mask = kwargs.get("inputs_embeds"), kwargs.get("attention_mask")
    tokens = ids if embeds is None else embeds
    if not isinstance(tokens, Tensor):
        return Call(1)  # nothing is given: a token that begins a text
    if not isinstance(mask, Tensor) or mask.ndim != 2:
        return Call(int(tokens.shape[1]))
    return Call(max(int(tokens.shape[1]), int(mask.shape[1])), mask)
