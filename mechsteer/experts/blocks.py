"""Scoring as a list of blocks: each a range of neurons, read and scored by itself.

A neuron's scores depend on its own column alone, so they are the same bits whatever the blocks. How
large a block is depends on the memory it may take; who scores which is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts.among import Among, by_script, everyone
from mechsteer.experts.compiling import compiling
from mechsteer.experts.concepts import LabelSets, label_sets
from mechsteer.experts.files import tables_of, together
from mechsteer.experts.scores import NeuronScores
from mechsteer.kernels import Pooling
from mechsteer.kernels import score as score_columns
from mechsteer.memory import USUAL, block_of_neurons, divided, scored_neuron_bytes, scores_bytes
from mechsteer.recording import Recording
from mechsteer.recording.finite import naming

Tables = Mapping[str, Tensor]
"""Every statistic ``[language, neuron]``; ``"Latn.ap"`` is among the languages of one script."""


@dataclass(frozen=True)
class Scoring:
    """What is to be scored of a recording, and how: blocks, the scores of one, all together.

    Neurons are scored by one pooling; of every other that was recorded the moments are kept. Each
    language is held against all others and, where others share its script, against those alone
    (``NeuronScores.scripts``): two sorts of a neuron, whatever the number of languages and scripts.

    Raises:
        MechsteerError: ``negative_only`` names a language that was not recorded.
    """

    recording: Recording
    pooling: Pooling = "max"
    negative_only: Sequence[str] = ()

    def __post_init__(self) -> None:
        unknown = set(self.negative_only) - set(self.recording.told_apart)
        if unknown:
            raise MechsteerError(f"negative-only languages {sorted(unknown)} are not in the corpus")

    def blocks(self, *, memory: int = USUAL, at_least: int = 1) -> list[range]:
        """Ranges of flat neurons that together are the site; equal for equal sizes.

        Args:
            memory: bytes that scoring may take, see ``mechsteer.memory``.
            at_least: how many there are at least, for as many processes, say.
        """
        neurons = self.recording.site.n_neurons
        peers = sum(len(own.languages) for own in self._groups.values())
        scores = scores_bytes(
            neurons, len(self._whole.languages), beside=len(self._beside), in_scripts=peers
        )
        largest = max((len(own.among.rows) for own in self._parts.values()), default=0)
        sizes = [self._itemsize(how) for how in (self.pooling, *self._beside)]
        each = scored_neuron_bytes(len(self.recording.labels), sizes, largest_script=largest)
        return divided(neurons, block_of_neurons(memory, each, scores), at_least)

    def block(self, neurons: range) -> dict[str, Tensor]:
        """Read and score one block: every table of the scores, of its neurons.

        Raises:
            MechsteerError: what cannot be scored; layer and neuron are named.
            ArtifactError: a shard is missing or damaged.
        """
        read = self.recording.columns(neurons, (self.pooling, *self._beside))
        spans = self.recording.site.spans(neurons)
        found: dict[str, list[Tensor]] = {}
        for number, (point, start, _) in enumerate(spans):
            with naming(point, first=start), compiling():
                for prefix, own in {"": self._whole, **self._parts}.items():
                    for how, names in own.wanted.items():
                        for name, table in own.scored(read[how][number], names).items():
                            found.setdefault(prefix + name, []).append(table)
        return {name: torch.cat(parts, dim=1) for name, parts in found.items()}

    def together(self, scored: Iterable[tuple[range, Tables]]) -> NeuronScores:
        """The scores of a recording from those of all its blocks, in any order."""
        tables: dict[str, Tensor] = {}
        for neurons, block in scored:
            for name, table in block.items():
                if name not in tables:
                    tables[name] = torch.empty(len(table), self.recording.site.n_neurons)
                tables[name][:, neurons.start : neurons.stop] = table
        whole = self._scores(self._whole, tables, "")
        scripts = {
            script: self._scores(own, tables, f"{script}.")
            if own in self._parts.values()
            else whole
            for script, own in self._groups.items()
        }
        return replace(whole, scripts=scripts)

    def _scores(self, own: _Group | LabelSets, tables: Tables, prefix: str) -> NeuronScores:
        columns = [column for some in own.wanted.values() for column in some]
        concepts = self.recording.concepts
        return NeuronScores(
            languages=own.languages,
            site=self.recording.site,
            pooling=self.pooling,
            counts=own.counts,
            n_sentences=own.n_sentences,
            model=self.recording.model,
            label="" if concepts is None else concepts.label,
            **together({column: tables[prefix + column] for column in columns}),
        )

    def _itemsize(self, how: Pooling) -> int:
        return (
            4
            if how == "mean"
            else getattr(torch, self.recording.model.dtype, torch.float32).itemsize
        )

    @cached_property
    def _beside(self) -> tuple[Pooling, ...]:
        return tuple(how for how in self.recording.pooling if how != self.pooling)

    @cached_property
    def _whole(self) -> _Group | LabelSets:
        wanted = tables_of(self.pooling, self._beside)
        if sets := label_sets(self.recording, self.negative_only, wanted):
            return sets
        return _Group(everyone(self.recording), self._targets(self.recording.languages), wanted)

    @cached_property
    def _groups(self) -> dict[str, _Group]:
        """Of each script that has languages to score."""
        if isinstance(self._whole, LabelSets):
            return {}
        wanted = tables_of(self.pooling, ())
        found = {
            script: _Group(own, self._targets(own.languages), wanted)
            for script, own in by_script(self.recording).items()
        }
        return {script: own for script, own in found.items() if own.targets}

    @cached_property
    def _parts(self) -> dict[str, _Group]:
        """Of each script that is not that of all languages, by the prefix of its tables."""
        everybody = len(self.recording.labels)
        return {
            f"{script}.": own
            for script, own in self._groups.items()
            if len(own.among.rows) < everybody
        }

    def _targets(self, languages: Sequence[str]) -> list[int]:
        return [i for i, name in enumerate(languages) if name not in self.negative_only]


@dataclass(frozen=True, eq=False)
class _Group:
    """Some languages, told apart from each other only, and what is wanted of each."""

    among: Among
    targets: list[int]
    wanted: Mapping[Pooling, Mapping[str, str]]

    @property
    def languages(self) -> tuple[str, ...]:
        """What is scored."""
        return tuple(self.among.languages[i] for i in self.targets)

    @property
    def counts(self) -> tuple[int, ...]:
        """Sentences of each."""
        counts = torch.bincount(self.among.labels, minlength=len(self.among.languages)).tolist()
        return tuple(counts[i] for i in self.targets)

    @property
    def n_sentences(self) -> int:
        """All sentences, those of languages that are not scored included."""
        return len(self.among.rows)

    def scored(self, x: Tensor, names: Mapping[str, str]) -> dict[str, Tensor]:
        """Tables of the targets, by their names."""
        scores = score_columns(self.among.pick(x), self.among.labels)
        return {column: getattr(scores, name)[self.targets].cpu() for column, name in names.items()}
