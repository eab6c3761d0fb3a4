"""Whom a language is told from: all others of a recording, or those of its own script.

A neuron that fires on Cyrillic letters tells Russian from French without knowing Russian. Among
languages of one script it has no such help. The script is the one that the language's name carries
(ISO 15924), so ``zho_Hans``, ``zho_Hant`` and ``jpn_Jpan`` are three scripts though they share
characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from mechsteer.corpus.names.languages import script_of
from mechsteer.errors import MechsteerError
from mechsteer.options.ranking import Within

if TYPE_CHECKING:
    from mechsteer.recording import Recording


@dataclass(frozen=True)
class Among:
    """Some languages of a recording, told apart from each other only.

    Attributes:
        languages: two or more, in the order of the recording.
        rows: numbers of their sentences in the recording, ascending.
        labels: language of each of these, numbered by ``languages``.
    """

    languages: tuple[str, ...]
    rows: Int[Tensor, " sentence"]
    labels: Int[Tensor, " sentence"]

    def pick(self, x: Shaped[Tensor, "every neuron"]) -> Shaped[Tensor, "sentence neuron"]:
        """Their sentences' activations, neuron-major; all of them without a copy."""
        if len(self.rows) == len(x):
            return x
        return x.T[:, self.rows.to(x.device)].T


def by_script(recording: Recording) -> dict[str, Among]:
    """The languages of each script that two or more languages of a recording are written in."""
    members: dict[str, list[int]] = {}
    for number, language in enumerate(recording.languages):
        members.setdefault(script_of(language), []).append(number)
    return {
        script: _some(recording, numbers)
        for script, numbers in members.items()
        if script and len(numbers) > 1
    }


def everyone(recording: Recording) -> Among:
    """All languages of a recording."""
    return Among(recording.languages, torch.arange(len(recording.labels)), recording.labels)


def among(recording: Recording, language: str, within: Within = "all") -> Among:
    """Whom a language of a recording is told from, itself included.

    Raises:
        MechsteerError: another word for ``within``, or no other language of its script.
    """
    require_within(within)
    if within == "all":
        return everyone(recording)
    found = by_script(recording).get(script_of(language))
    if found is None:
        raise MechsteerError(alone(language))
    return found


def require_within(within: str) -> None:
    """Refuse another word.

    Raises:
        MechsteerError: neither ``"all"`` nor ``"script"``.
    """
    if within not in ("all", "script"):
        raise MechsteerError(f"expected within='all' or within='script', got {within!r}")


def whom(language: str, within: Within) -> str:
    """What a selection says of whom its language was told from; nothing for all."""
    return f" among languages in {script_of(language)}" if within == "script" else ""


def alone(language: str) -> str:
    """What is said of a language that no other shares its script with, and of any other label."""
    if not script_of(language):
        return (
            f"{language} is a label, whose sentences are in no one script: rank among all labels "
            "(within='all', --within all)"
        )
    return (
        f"{language} has no other language in {script_of(language)} beside it: "
        "add one to the corpus, or rank among all languages (within='all', --within all)"
    )


def _some(recording: Recording, members: Sequence[int]) -> Among:
    numbers = torch.tensor(members)
    rows = torch.isin(recording.labels, numbers).nonzero().flatten()
    labels = torch.searchsorted(numbers, recording.labels[rows])
    return Among(tuple(recording.languages[i] for i in members), rows, labels)
