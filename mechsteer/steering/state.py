"""In which state a model is: which edits are installed on it just now, and what that is called.

Whoever keeps results, of an evaluation say, must not take those of one state for another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mechsteer.interventions import Edit
from mechsteer.interventions.edits import fingerprint
from mechsteer.model.interface import Model
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.steering.positions import Positions

NO_EDIT = "none"
"""What a model without edits is called."""


@dataclass(frozen=True, eq=False)
class Scope:
    """Edits that one scope installed, and where they act."""

    edits: tuple[Edit, ...]
    positions: Positions


def name_of(edits: Sequence[Edit]) -> str:
    """What edits are called: their names, with their strengths where these are not 1."""
    return " + ".join(map(_name, edits)) or NO_EDIT


def state_of(model: ModelLike) -> str:
    """The edits installed on a model, outer scopes first: names and eight letters of their hash.

    The hash is that of all that they do and where, so two states of one name differ in it; a model
    without edits, or with edits that change nothing, is ``"none"``.
    """
    scopes: list[Scope] = as_model(model).facts.steered
    if not scopes:
        return NO_EDIT
    does = [f"{scope.positions} {fingerprint(edit)} " for scope in scopes for edit in scope.edits]
    return told_apart(name_of([edit for scope in scopes for edit in scope.edits]), does)


def told_apart(names: str, does: Iterable[str]) -> str:
    """Names of edits, with eight letters of a hash of all that they do."""
    return f"{names} {hashlib.sha256(''.join(does).encode()).hexdigest()[:8]}"


def noted(model: Model, edits: Sequence[Edit], positions: Positions) -> Callable[[], None]:
    """Say that edits are installed; what is returned says that they are not any more."""
    scope = Scope(tuple(edits), positions)
    model.facts.steered.append(scope)
    return lambda: model.facts.steered.remove(scope)


def _name(edit: Edit) -> str:
    strength = getattr(edit, "strength", None) or edit.provenance.get("strength", 1.0)
    return edit.name if strength == 1 else f"{edit.name} λ={strength:g}"
