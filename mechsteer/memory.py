"""How much memory each stage takes: every formula stands here, and in the guide on scale.

Bytes, from sizes alone, so that a plan can tell them before anything runs. ``N`` sentences, ``M``
neurons, ``L`` languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

PROGRAM = 700 << 20
"""Python, torch, transformers and numba, once a model has been run and neurons were scored."""
USUAL = 4 * 10**9
"""What a run may take by default, beside the weights of its model: 4 GB."""
STATISTICS, MOMENTS = 7, 3
"""Tables of the pooling that is scored, and of each recorded beside it."""


def working(memory: int) -> int:
    """What a budget leaves for values, beside the program: at least a quarter of it."""
    return max(memory - PROGRAM, memory // 4)


def room(memory: int) -> int:
    """What values may take that stand in memory together: half of what a budget leaves for them.

    The other half is for what is made of them.
    """
    return working(memory) // 2


def embeddings_bytes(n_sentences: int, n_layers: int, d_model: int) -> int:
    """Embeddings in float32: ``4 N layers d_model``, the layers counted with embedding and norm."""
    return 4 * n_sentences * n_layers * d_model


def scores_bytes(
    n_neurons: int, n_languages: int, *, beside: int = 1, in_scripts: int | None = None
) -> int:
    """The tables of scores: ``4 M (L (7 + 3 beside) + 7 L_scripts)``.

    Args:
        n_neurons: of the site.
        n_languages: that are scored.
        beside: poolings recorded beside the one that is scored.
        in_scripts: languages that are scored among those of their script too; all by default.
    """
    peers = n_languages if in_scripts is None else in_scripts
    return 4 * n_neurons * (n_languages * (STATISTICS + MOMENTS * beside) + STATISTICS * peers)


def scored_neuron_bytes(
    n_sentences: int, itemsizes: Sequence[int], *, largest_script: int = 0
) -> int:
    """What one neuron of a block takes while it is scored.

    ``N · Σ itemsize``, over the poolings, and a copy of the sentences of the largest script under
    the pooling that is scored, the first.
    """
    return n_sentences * sum(itemsizes) + largest_script * itemsizes[0]


def block_of_neurons(memory: int, neuron_bytes: int, scores: int) -> int:
    """How many neurons are scored together: half of what a budget leaves beside the scores.

    Never less than one. The other half is for what a sort and the copying of shards take.
    """
    left = max(working(memory) - scores, working(memory) // 4)
    return max(1, left // 2 // neuron_bytes)


def divided(n: int, most: int, at_least: int = 1) -> list[range]:
    """``range(n)`` in as few equal parts of at most ``most`` as there can be, or ``at_least``.

    >>> divided(10, 4), divided(10, 99, 3)
    ([range(0, 3), range(3, 6), range(6, 10)], [range(0, 3), range(3, 6), range(6, 10)])
    """
    parts = min(n, max(-(-n // most), at_least))
    ends = [number * n // parts for number in range(parts + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


def sentence_bytes(n_neurons: int, itemsizes: Sequence[int], n_layers: int, d_model: int) -> int:
    """What is kept of one sentence: ``M Σ itemsize + 4 layers d_model``, and its number.

    Args:
        n_neurons: of the site.
        itemsizes: of each pooling: maxima and last values keep the model's, means take 4 bytes.
        n_layers: rows of the residual stream; 0 where no embeddings are recorded.
        d_model: their width.
    """
    return n_neurons * sum(itemsizes) + embeddings_bytes(1, n_layers, d_model) + 8


def record_bytes(batch_sentences: int, sentence: int, n_sentences: int, n_tokens: int) -> int:
    """Recording to a folder: one batch and the tokens of the corpus, never all that is recorded.

    ``3`` times the values of a batch (pooled, contiguous, as the bytes of a file), 5 bytes a token
    and 1 kB a sentence of text, tokens and plan. The activations of the pass come on top, see
    ``mechsteer.recording.batch_size.activation_bytes``.
    """
    return 3 * batch_sentences * sentence + 5 * n_tokens + 1000 * n_sentences


def score_bytes(
    memory: int, n_neurons: int, neuron_bytes: int, scores: int, *, shard: int = 0
) -> int:
    """Scoring: the scores, a block, its scores, and a shard; or the scores as they are written.

    ``scores + block + scores · block / M + 3 shard`` or ``3 scores``, whichever is more.

    Args:
        memory: the budget.
        n_neurons: of the site.
        neuron_bytes: see ``scored_neuron_bytes``.
        scores: see ``scores_bytes``.
        shard: bytes of one hook point in a shard, which are checked as they are first read.
    """
    block = min(n_neurons, block_of_neurons(memory, neuron_bytes, scores))
    scoring = scores + block * neuron_bytes + scores * block // n_neurons + 3 * shard
    return max(scoring, 3 * scores)


def embed_bytes(memory: int, batch_sentences: int, embeddings: int, sentence: int) -> int:
    """Embedding: all of it where that fits half of what the budget leaves, else two batches."""
    return embeddings if embeddings <= room(memory) else 2 * batch_sentences * sentence


def measure_bytes(memory: int, n_languages: int, n: int, n_layers: int, d_model: int) -> int:
    """Measuring one state of ``n`` parallel sentences in ``n_languages``, its embeddings included.

    ``16 L n d`` for one layer of all languages with unit vectors in float32 and float64, or the
    room for two groups of them; ``40 n d`` for one language on its way there; ``24 n²`` for the
    cosines of a pair and what is made of them; ``6 layers L² n`` for the hits, as they are
    gathered, and ``8 L² n`` for distances.
    """
    embeddings = embeddings_bytes(n_languages * n, n_layers, d_model)
    layer = 16 * n_languages * n * d_model
    if embeddings > room(memory):  # read from the disk
        layer, embeddings = max(min(layer, room(memory)), 32 * n * d_model), 0
    pairs = n_languages**2 * n
    layer += 40 * n * d_model
    return embeddings + layer + 24 * n * n + (6 * n_layers + 8) * pairs
