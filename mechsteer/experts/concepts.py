"""Concepts that overlap, or that are in several languages: label sets in place of one label each.

A concept is told from all sentences that do not have it, whatever else they have. Where sentences
say their language, it is told apart within every language by itself, and the score of a neuron is
the least of these: it detects the concept in each, and a neuron that knows the language alone
detects nothing. Moments are over all sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.errors import MechsteerError, shown
from mechsteer.kernels import Pooling, score_labelings
from mechsteer.recording import Recording


@dataclass(frozen=True, eq=False)
class LabelSets:
    """Concepts to score, which sentences have them, and the parts they are told apart within.

    Attributes:
        languages: the concepts, by name.
        member: which sentences have each.
        parts: numbers of the sentences of each language; of all sentences, where that is not told.
        wanted: what is kept of each pooling.
    """

    languages: tuple[str, ...]
    member: Bool[Tensor, "concept sentence"]
    parts: Mapping[str, Int[Tensor, "_"]]
    wanted: Mapping[Pooling, Mapping[str, str]]

    @property
    def counts(self) -> tuple[int, ...]:
        """Sentences that have each concept."""
        return tuple(self.member.sum(dim=1).tolist())

    @property
    def n_sentences(self) -> int:
        """All sentences."""
        return self.member.shape[1]

    def scored(
        self, x: Float[Tensor, "sentence neuron"], names: Mapping[str, str]
    ) -> dict[str, Tensor]:
        """Tables of the concepts, by their names."""
        found: dict[str, Tensor] = {}
        if {"ap", "auroc"} & set(names.values()):
            scores = [self._within(x, rows) for rows in self.parts.values()]
            found["ap"] = torch.stack([ap for ap, _ in scores]).amin(dim=0)
            found["auroc"] = torch.stack([auroc for _, auroc in scores]).amin(dim=0)
        wide = x.double()
        for side, statistics in (("", ("mean", "median", "std")), ("rest_", ("mean", "std"))):
            members = self.member if not side else ~self.member
            for name in (name for name in statistics if side + name in names.values()):
                rows = [_STATISTICS[name](wide[own.to(x.device)]) for own in members]
                found[side + name] = torch.stack(rows).float()
        return {column: found[name].cpu() for column, name in names.items()}

    def _within(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        whole = len(rows) == len(x)
        own = x if whole else x.T[:, rows.to(x.device)].T
        found = score_labelings(own, self.member[:, rows].to(x.device))
        return found.ap, found.auroc


def label_sets(
    recording: Recording,
    without: Sequence[str],
    wanted: Mapping[Pooling, Mapping[str, str]],
) -> LabelSets | None:
    """The concepts of a recording; None where one label a sentence says it all.

    Raises:
        MechsteerError: a concept that no sentence of a language has, or every one.
    """
    concepts = recording.concepts
    if concepts is None or not (concepts.sets or concepts.languages):
        return None
    names = tuple(name for name in recording.told_apart if name not in without)
    member = torch.stack([recording.having(name) for name in names])
    parts = parts_of(recording)
    for language, rows in parts.items():
        for name, own in zip(names, member[:, rows], strict=True):
            if own.all() or not own.any():
                held = "every" if own.all() else "no"
                raise MechsteerError(
                    f"{held} sentence in {language} has {shown(name)}: expected some with it and "
                    "some without in every language; name the languages that have both"
                )
    return LabelSets(names, member, parts, wanted)


def parts_of(recording: Recording) -> dict[str, Int[Tensor, "_"]]:
    """Numbers of the sentences of each language that concepts are told apart within, or of all."""
    concepts = recording.concepts
    if concepts is None or not concepts.languages:
        return {"the corpus": torch.arange(len(recording.labels))}
    spoken = list(chain.from_iterable(concepts.languages[label] for label in recording.languages))
    return {
        name: torch.tensor([row for row, said in enumerate(spoken) if said == name])
        for name in dict.fromkeys(spoken)
    }


def _mean(x: Float[Tensor, "some neuron"]) -> Float[Tensor, " neuron"]:
    return x.mean(dim=0)


def _median(x: Float[Tensor, "some neuron"]) -> Float[Tensor, " neuron"]:
    """With the mean of the two in the middle where their number is even."""
    ordered = x.sort(dim=0).values
    return (ordered[(len(x) - 1) // 2] + ordered[len(x) // 2]) / 2


def _std(x: Float[Tensor, "some neuron"]) -> Float[Tensor, " neuron"]:
    """With n - 1 in the denominator; 0 for a single sentence."""
    return x.std(dim=0) if len(x) > 1 else torch.zeros_like(x[0])


_STATISTICS = {"mean": _mean, "median": _median, "std": _std}
