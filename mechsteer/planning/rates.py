"""What a unit of every stage costs, and from that what a stage costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mechsteer.planning.sizes import Sizes
from mechsteer.planning.workload import Workload


@dataclass(frozen=True)
class Spent:
    """Seconds, by the clock on the wall and of the processor."""

    wall: float = 0.0
    processor: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.processor + other.processor)

    def until(self, other: Spent) -> Spent:
        """How much more the other is; never less than nothing."""
        return Spent(max(0.0, other.wall - self.wall), max(0.0, other.processor - self.processor))

    def __mul__(self, times: float) -> Spent:
        return Spent(self.wall * times, self.processor * times)


@dataclass(frozen=True)
class Curve:
    """What a token costs in batches of some widths, and between them on straight lines.

    Attributes:
        widths: tokens of a padded sentence, ascending.
        tokens: what a token cost in each.
    """

    widths: tuple[int, ...]
    tokens: tuple[Spent, ...]

    def total(self, batches: Iterable[tuple[int, int]]) -> Spent:
        """What some batches of (sentences, width) cost."""
        rows, widths = np.array([*batches], float).reshape(-1, 2).T
        walls, processors = (
            float((rows * widths * np.interp(widths, self.widths, each)).sum())
            for each in zip(*((s.wall, s.processor) for s in self.tokens), strict=True)
        )
        return Spent(walls, processors)


@dataclass(frozen=True)
class Rates:
    """What was measured here, or follows from published peaks.

    Attributes:
        recording: a token's pass with pooled neurons, written to disk.
        embedding: a token's pass with embeddings alone.
        tokenising: a sentence.
        calling: a call on some neurons of one layer.
        scoring: a neuron and sentence, all its statistics for all languages.
        reading: a byte of a recording, read back.
        pair: two languages at one layer, retrieval and distances both ways.
        language: one language at one layer.
        filing: a file of what was measured.
        keeping: a byte of what was measured, hashed and written.
        basis: where they come from, in words.
    """

    recording: Curve
    embedding: Curve
    tokenising: Spent
    calling: Spent
    scoring: Spent
    reading: Spent
    pair: Spent
    language: Spent
    filing: Spent
    keeping: Spent
    basis: str

    def record(self, work: Workload, ranks: int) -> Spent:
        """One pass over a corpus, by the slowest of some processes; each tokenises all of it."""
        return self._pass(self.recording, work, ranks)

    def embed(self, work: Workload) -> Spent:
        """One pass over a corpus under one edit, by one process."""
        return self._pass(self.embedding, work, 1)

    def score(
        self, work: Workload, sizes: Sizes, *, beside: int, n_bytes: int, ranks: int
    ) -> Spent:
        """All neurons against all languages, and against those of their script.

        Args:
            work: the corpus.
            sizes: of the model.
            beside: poolings recorded beside the one that is scored.
            n_bytes: of the activations that are read back.
            ranks: processes that share the neurons.
        """
        groups, peers = work.scripts, work.in_scripts[1]
        sorted_ = sizes.n_neurons * (work.n_sentences * (1 + beside) + peers)
        calls = len(sizes.widths) * (1 + beside + groups)
        every = self.scoring * sorted_ + self.reading * n_bytes + self.calling * calls
        return every * (1 / ranks)

    def measure(self, n_languages: int, rows: int, n_bytes: int) -> Spent:
        """One state: every layer, every pair of languages; by one process."""
        pairs = n_languages * (n_languages - 1) // 2
        layer = self.pair * pairs + self.language * n_languages
        return layer * rows + self.filing + self.keeping * n_bytes

    def _pass(self, curve: Curve, work: Workload, ranks: int) -> Spent:
        parts = [curve.total(work.of_rank(rank, ranks)) for rank in range(ranks)]
        slowest = max(parts, key=lambda part: part.wall)
        return slowest + self.tokenising * work.n_sentences
