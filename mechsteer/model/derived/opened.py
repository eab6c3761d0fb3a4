"""The scope in which hook points are there that mechsteer makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from mechsteer.model.derived.autoencoder import WORD
from mechsteer.model.derived.heads import FLAT, MEANS, NORMS, of_word
from mechsteer.model.derived.load import autoencoder_of
from mechsteer.model.derived.point import Derivation, DerivedPoint, Whole
from mechsteer.model.interface import Model
from mechsteer.model.mixtures import MIXED, ExpertPoint


@contextmanager
def opened(model: Model, hooks: Iterable[str]) -> Iterator[None]:
    """Within, those of the hook points that mechsteer makes are there; others always are.

    Scopes nest and overlap, in any order and from several threads: a point goes with the last that
    asked for it, and then no hook is left in the model.

    Raises:
        SiteError: a point cannot be made, or would be read before edits that come after it.
    """
    with ExitStack() as scope:
        for hook in hooks:
            if _is_made(hook):
                _open(model, hook)
                scope.callback(_close, model, hook)
        yield


def _is_made(hook: str) -> bool:
    *_, part, word = hook.split(".")
    named = {"dims", FLAT, NORMS, MEANS}
    return f".{WORD}:" in hook or word.partition(":")[0] in named or part in MIXED


def _open(model: Model, hook: str) -> None:
    with model.facts.lock:
        if hook not in model.facts.opened:
            model.facts.opened[hook] = _made(model, hook)
        elif isinstance(model.facts.opened[hook], DerivedPoint):
            model.facts.opened[hook].require_last()
        model.facts.opened[hook].scopes += 1


def derivation_of(model: Model, hook: str) -> tuple[str, Derivation] | None:
    """The point whose activation a made one is computed from, and how; None of any other.

    Raises:
        SiteError: an autoencoder's folder holds another one by now.
    """
    if f".{WORD}:" in hook:
        return hook.partition(f".{WORD}:")[0], autoencoder_of(model, hook)
    base, _, word = hook.rpartition(".")
    if word == "dims":
        return base, Whole()
    if word.partition(":")[0] in {FLAT, NORMS, MEANS}:
        return base, of_word(word)
    return None


def _made(model: Model, hook: str) -> DerivedPoint | ExpertPoint:
    found = derivation_of(model, hook)
    return ExpertPoint(model, hook) if found is None else DerivedPoint(model, hook, *found)


def _close(model: Model, hook: str) -> None:
    with model.facts.lock:
        point = model.facts.opened[hook]
        point.scopes -= 1
        if not point.scopes:
            del model.facts.opened[hook]
            point.remove()
