"""Bytes of every stage, on disk and in memory, from sizes alone."""

from __future__ import annotations

from dataclasses import dataclass

from mechsteer.memory import (
    PROGRAM,
    USUAL,
    embed_bytes,
    embeddings_bytes,
    measure_bytes,
    record_bytes,
    score_bytes,
    scored_neuron_bytes,
    scores_bytes,
    sentence_bytes,
)
from mechsteer.planning.sizes import Sizes
from mechsteer.planning.workload import Workload


@dataclass(frozen=True)
class Footprint:
    """What a run keeps.

    Attributes:
        sizes: of the model.
        dev: text that is recorded and scored.
        itemsizes: bytes of a pooled value, of the pooling that is scored first: 4 of means.
        memory: what values may take, beside the weights (``--memory``).
        on_device: whether weights and activations are in a device's memory, not in the program's.
    """

    sizes: Sizes
    dev: Workload
    itemsizes: tuple[int, ...]
    memory: int = USUAL
    on_device: bool = False

    @property
    def activations(self) -> int:
        """Of the recorded neurons on disk: ``N M Σ itemsize``."""
        return self.dev.n_sentences * self.sizes.n_neurons * sum(self.itemsizes)

    def embeddings(self, work: Workload) -> int:
        """Of a corpus at every row of the residual stream, float32: ``4 N rows d_model``."""
        return embeddings_bytes(work.n_sentences, self.sizes.rows, self.sizes.d_model)

    @property
    def recording(self) -> int:
        """On disk: neurons, embeddings, and some header for each tensor of each batch."""
        tensors = len(self.sizes.widths) * len(self.itemsizes) + self.sizes.rows + 1
        headers = 200 * tensors * len(self.dev.batches)
        return self.activations + self.embeddings(self.dev) + headers

    @property
    def scores(self) -> int:
        """See ``mechsteer.memory.scores_bytes``."""
        return scores_bytes(
            self.sizes.n_neurons,
            len(self.dev.counts),
            beside=len(self.itemsizes) - 1,
            in_scripts=self.dev.in_scripts[0],
        )

    def state(self, work: Workload) -> int:
        """What is kept of one state: three truth values a layer, pair and sentence, distances."""
        languages = len(work.counts)
        sentences = work.n_sentences // max(1, languages)
        pairs = self.sizes.rows * languages * languages
        return pairs * (3 * sentences + 4) + 8 * work.n_sentences

    def batch(self, work: Workload) -> int:
        """Activations of the largest batch: see ``mechsteer.recording.batch_size``."""
        rows, width = work.largest
        sizes, tokens = self.sizes, rows * width
        widest = max((*sizes.widths, sizes.d_model))
        numbers = tokens * (8 * sizes.d_model + 4 * widest) + 3 * sizes.heads * tokens * width
        return numbers * sizes.itemsize

    @property
    def device(self) -> int:
        """What the device of the model holds while a batch runs: weights and activations."""
        return self.sizes.weight_bytes + self.batch(self.dev)

    def record(self) -> int:
        """Peak memory of recording: the model, one batch and what is pooled of it."""
        values = record_bytes(
            self.dev.largest[0], self._sentence, self.dev.n_sentences, self.dev.n_tokens
        )
        return self._beside(values, self.dev)

    def score(self) -> int:
        """Peak memory of scoring: the model, the scores and a block of neurons."""
        each = scored_neuron_bytes(
            self.dev.n_sentences, self.itemsizes, largest_script=self.dev.largest_script
        )
        shard = self.dev.largest[0] * max(self.sizes.widths) * max(self.itemsizes)
        values = score_bytes(self.memory, self.sizes.n_neurons, each, self.scores, shard=shard)
        return self._beside(values)

    def embed(self, work: Workload) -> int:
        """Peak memory of embedding a state: the model, one batch, the embeddings that fit."""
        row = embeddings_bytes(1, self.sizes.rows, self.sizes.d_model)
        values = embed_bytes(self.memory, work.largest[0], self.embeddings(work), row)
        return self._beside(values, work)

    def measure(self, work: Workload) -> int:
        """Peak memory of measuring a state: embeddings that fit, a layer of them, the hits."""
        languages = len(work.counts)
        n = work.n_sentences // max(1, languages)
        shape = languages, n, self.sizes.rows, self.sizes.d_model
        return self._beside(measure_bytes(self.memory, *shape))

    @property
    def _sentence(self) -> int:
        """What is kept of one sentence."""
        sizes = self.sizes
        return sentence_bytes(sizes.n_neurons, self.itemsizes, sizes.rows, sizes.d_model)

    def _beside(self, values: int, run: Workload | None = None) -> int:
        """Values with the program, and the model and a batch of it where they are in memory."""
        model = 0 if self.on_device else self.sizes.weight_bytes
        batch = 0 if self.on_device or run is None else self.batch(run)
        return PROGRAM + model + batch + values
