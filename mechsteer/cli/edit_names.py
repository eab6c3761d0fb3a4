"""The edits that a command knows by name: ``damp``, ``clamp:mean``, ``clamp:p90:mean``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.interventions import Edit, aura, clamp, damp, shift, zero
from mechsteer.interventions.neuron import known_pooling, percentile
from mechsteer.recording import Recording
from mechsteer.studies.edit_factory import MakeEdit

EDITS: dict[str, Callable[..., Any]] = {
    "clamp": clamp,
    "damp": damp,
    "zero": zero,
    "aura": aura,
    "shift": shift,
}
FORMS = "clamp[:VALUE[:POOLING]], damp[:FACTOR], zero, aura, shift"


@dataclass(frozen=True)
class NamedEdit:
    """An edit as it is typed: a name, and after colons what it takes.

    Attributes:
        typed: the whole word.
        make: from experts, and a recording where ``recorded``, to the edit.
        recorded: whether it needs the recording: percentiles do.
    """

    typed: str
    make: Callable[..., Edit]
    recorded: bool = False

    def bound(self, recording: Callable[[], Recording]) -> MakeEdit:
        """What makes the edit from experts alone."""
        return partial(self.make, recording=recording()) if self.recorded else self.make

    def require(self, scores: NeuronScores) -> None:
        """Refuse scores that lack what the edit takes, before anything long begins.

        Raises:
            MechsteerError: the pooling was not recorded with them.
        """
        if not self.recorded:
            self.make(scores.top(scores.languages[0], 1))


def is_named(word: str) -> bool:
    """Whether a word names an edit, rather than a file."""
    return word.partition(":")[0] in EDITS


def named_edit(word: str) -> NamedEdit:
    """Read what was typed.

    >>> named_edit("clamp:p90:mean").recorded
    True

    Raises:
        MechsteerError: another name, or something behind the colons that the edit does not take.
    """
    name, *given = word.split(":")
    if name == "clamp" and len(given) <= 2:
        return _clamp(word, *given)
    if name == "damp" and len(given) == 1 and (factor := _number(given[0])) is not None:
        return NamedEdit(word, partial(damp, factor=factor))
    if name not in EDITS or given:
        raise MechsteerError(f"unknown edit {word!r}: expected {FORMS}")
    return NamedEdit(word, EDITS[name])


def _clamp(word: str, value: str = "", pooling: str = "") -> NamedEdit:
    options: dict[str, Any] = {"pooling": known_pooling(pooling)} if pooling else {}
    number = _number(value)
    if number is not None and pooling:
        raise MechsteerError(f"expected clamp:{value} without a pooling, got {word!r}")
    if value and number is None and value not in ("mean", "median"):
        percentile(value)
        return NamedEdit(word, partial(clamp, value=value, **options), recorded=True)
    if value:
        options["value"] = value if number is None else number
    return NamedEdit(word, partial(clamp, **options))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
