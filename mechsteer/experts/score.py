"""From recorded activations to a score of every neuron for every language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.errors import CorpusError
from mechsteer.experts.blocks import Scoring, Tables
from mechsteer.experts.scores import NeuronScores
from mechsteer.kernels import Pooling
from mechsteer.memory import USUAL
from mechsteer.model.wrap import ModelLike
from mechsteer.options.memory import USUAL_MEMORY, memory_bytes
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.ranks import Ranks, current
from mechsteer.recording import Recording, record
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions


@with_bars
def score(
    model: ModelLike,
    corpus: Sentences,
    *,
    site: str = "post",
    pooling: Pooling = "max",
    also_pooling: Pooling | Sequence[Pooling] = "mean",
    negative_only: Sequence[str] = (),
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    directory: Path | None = None,
    memory: int | str = USUAL_MEMORY,
    progress: bool = True,
    **options: Unpack[ReadingOptions],
) -> NeuronScores:
    """Score every neuron of a site as a detector of every language, in one pass over the corpus.

    Ranks of ``torchrun`` divide batches, given a ``directory``, and neurons; all return the same.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language; they need not be parallel.
        site: where neurons are read, see ``mechsteer.model.sites.find_site``.
        pooling: ``"max"``, ``"mean"`` or ``"last"`` over a sentence's real tokens.
        also_pooling: recorded in the same pass, so that edits can hold experts at values of it too;
            none saves the memory of it (a float32 for each neuron and sentence).
        negative_only: languages that count as negatives but get no score of their own.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        directory: where to stream the recording, to resume it; None keeps it in memory, or where it
            exceeds half of ``memory`` in a temporary file.
        memory: what values may take of it, see ``mechsteer.memory``; no number depends on it.
        progress: show bars where a terminal watches.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        CorpusError: fewer than two languages.
    """
    corpus = as_labelled(corpus)
    if len(corpus.languages) < 2:
        raise CorpusError(
            f"expected at least two languages, got {list(corpus.languages)}: a detector of one "
            "language needs sentences of others"
        )
    recorded = record(
        model,
        corpus,
        site=site,
        pooling=all_poolings(pooling, also_pooling),
        tokenizer=tokenizer,
        reading=reading.changed(options),
        directory=directory,
        memory=memory,
    )
    return score_recording(
        recorded, pooling=pooling, negative_only=negative_only, memory=memory_bytes(memory)
    )


@with_bars
def score_recording(
    recording: Recording,
    *,
    pooling: Pooling = "max",
    negative_only: Sequence[str] = (),
    memory: int = USUAL,
    progress: bool = True,
) -> NeuronScores:
    """Score what was recorded, block by block of neurons, see ``mechsteer.experts.blocks``.

    Ranks of ``torchrun`` divide the blocks, and all return the same scores.

    Args:
        recording: what was recorded.
        pooling: that neurons are scored by; of every other that was recorded the moments are kept.
        negative_only: languages that count as negatives but get no score of their own.
        memory: bytes that scoring may take; no number depends on it.
        progress: show bars where a terminal watches.

    Raises:
        MechsteerError: an unknown language, or what cannot be scored; the layer is named.
    """
    scoring, ranks = Scoring(recording, pooling, negative_only), current()
    blocks = scoring.blocks(memory=memory, at_least=ranks.size)
    return scoring.together(_scored(scoring, blocks, ranks))


def _scored(
    scoring: Scoring, blocks: Sequence[range], ranks: Ranks
) -> Iterator[tuple[range, Tables]]:
    """Every block with its scores: one on each rank at a time, which all of them hear of.

    Ranks take neighbouring blocks, since the first look at a tensor of a shard reads all of it.
    """
    ends = [rank * len(blocks) // ranks.size for rank in range(ranks.size + 1)]
    own = blocks[ends[ranks.rank] : ends[ranks.rank + 1]]
    most = max(stop - start for start, stop in pairwise(ends))
    for turn in bar(range(most), "scoring", "block"):
        with ranks.together("scoring"):
            scored = [(neurons, scoring.block(neurons)) for neurons in own[turn : turn + 1]]
        for said in ranks.gather("scores", scored):
            yield from said


def all_poolings(pooling: Pooling, also: Pooling | Sequence[Pooling]) -> tuple[Pooling, ...]:
    """The scored pooling, then the others, each once."""
    return tuple(dict.fromkeys((pooling, *((also,) if isinstance(also, str) else also))))
