"""Whether a model is generating just now: only the call that generates knows where a prompt ends.

Without a cache each step is an ordinary forward pass over everything so far. So while edits that
count from the prompt are installed, the model's ``generate`` functions say when they start and
return; the wrappers are shared by all scopes of a model and go with the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from mechsteer.model.interface import Model

_watched: WeakKeyDictionary[Any, Generation] = WeakKeyDictionary()


class Generation:
    """The call of ``generate`` that is running, None outside of one."""

    def __init__(self) -> None:
        self.call: object = None
        self.scopes = 0

    @contextmanager
    def running(self, call: object) -> Iterator[None]:
        """Within, ``call`` generates."""
        outer, self.call = self.call, call
        try:
            yield
        finally:
            self.call = outer


def watch(model: Model) -> Generation:
    """Begin to tell when a model generates, for one more scope."""
    if model not in _watched:
        generation = _watched[model] = Generation()
        for owner, name, wrap in _generators(model):
            vars(owner)[name] = wrap(getattr(owner, name), generation)
    _watched[model].scopes += 1
    return _watched[model]


def generating(model: Model) -> AbstractContextManager[None]:
    """One call that generates, for those who write their loop themselves."""
    generation = _watched.get(model)
    return nullcontext() if generation is None else generation.running(object())


def forget(model: Model) -> None:
    """End it for one scope; the last one leaves the functions that were there before."""
    _watched[model].scopes -= 1
    if _watched[model].scopes == 0:
        del _watched[model]
        for owner, name, _ in _generators(model):
            before = vars(owner).pop(name).__wrapped__
            if before != getattr(owner, name):  # somebody had put a function of their own there
                vars(owner)[name] = before


def _generators(model: Model) -> list[tuple[Any, str, Callable[..., Any]]]:
    """Functions that generate; the bridge's ``hf_generate`` calls the wrapped model's own."""
    known = [
        (model, "generate", _whole),
        (model, "generate_stream", _stream),
        (model.original_model, "generate", _whole),
    ]
    return [(owner, name, wrap) for owner, name, wrap in known if hasattr(owner, name)]


def _whole(generate: Callable[..., Any], generation: Generation) -> Callable[..., Any]:
    @wraps(generate)
    def generating(*args: Any, **kwargs: Any) -> Any:
        with generation.running(object()):
            return generate(*args, **kwargs)

    return generating


def _stream(generate: Callable[..., Any], generation: Generation) -> Callable[..., Any]:
    @wraps(generate)
    def generating(*args: Any, **kwargs: Any) -> Iterator[Any]:
        call, steps = object(), generate(*args, **kwargs)
        while True:  # the caller may run the model between two steps
            with generation.running(call):
                step = next(steps, generation)
            if step is generation:
                return
            yield step

    return generating
