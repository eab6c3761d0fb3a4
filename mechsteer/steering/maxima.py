"""Clamps at maxima, told before a model writes under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mechsteer.interventions import Edit


def of_maxima(edits: Sequence[Edit]) -> str:
    """What to say of edits that hold neurons at maxima over sentences; empty if none does.

    A maximum is what a neuron reaches at one token of a sentence, and a clamp gives it at all of
    them: what the model writes then tends to be one word, again and again.
    """
    held = sum(part["k"] for edit in edits for part in _parts(edit.provenance) if _is(part))
    if not held:
        return ""
    return (
        f"{held} neurons are held at maxima over sentences at every token, under which models tend "
        'to repeat one word: hold them at means, clamp(experts, pooling="mean") or '
        "--edit clamp:median:mean"
    )


def _is(part: Mapping[str, Any]) -> bool:
    """Whether an edit is a clamp at a statistic of maxima; old files call it the same."""
    clamp = part.get("constructor") == "clamp" and part.get("pooling") == "max"
    return clamp and isinstance(part.get("statistic"), str) and part.get("k", 0) > 0


def _parts(provenance: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    composed: Iterable[Mapping[str, Any]] = provenance.get("composed", ())
    yield from (provenance, *composed)
