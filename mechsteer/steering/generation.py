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

from mechsteer.model.interface import Model


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
    if not isinstance(model.watcher, Generation):
        generation = model.watcher = Generation()
        for owner, name, wrap in _generators(model):
            vars(owner)[name] = wrap(getattr(owner, name), generation)
    model.watcher.scopes += 1
    return model.watcher


def generating(model: Model) -> AbstractContextManager[None]:
    """One call that generates, for those who write their loop themselves."""
    watcher = model.watcher
    return watcher.running(object()) if isinstance(watcher, Generation) else nullcontext()


def forget(model: Model) -> None:
    """End it for one scope; the last one leaves the functions that were there before."""
    watcher = model.watcher
    if not isinstance(watcher, Generation):
        return
    watcher.scopes -= 1
    if watcher.scopes == 0:
        model.watcher = None
        for owner, name, _ in _generators(model):
            before = vars(owner).pop(name).__wrapped__
            if before != getattr(owner, name):  # somebody had put a function of their own there
                vars(owner)[name] = before


def _generators(model: Model) -> list[tuple[Any, str, Callable[..., Any]]]:
    """Functions that generate; the bridge's ``hf_generate`` calls the wrapped model's own."""
    known = [
        (model.module, "generate", _whole),
        (model.module, "generate_stream", _stream),
        (model.original_model, "generate", _whole),
    ]
    found = {(id(owner), name): (owner, name, wrap) for owner, name, wrap in known}
    return [(owner, name, wrap) for owner, name, wrap in found.values() if hasattr(owner, name)]


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
