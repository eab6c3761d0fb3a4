"""Which sentences run together: planned from the whole corpus, so a resumed run is the same."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from typing_extensions import Unpack

from mechsteer.errors import CorpusError, CorpusWarning
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions
from mechsteer.recording.tokens import Tokens, padding, require_known, tokenize

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus


@dataclass(frozen=True)
class Batch:
    """Sentences of one pass, padded on the right; ``rows`` are their numbers in the corpus."""

    rows: Int[Tensor, "sentence"]
    ids: Int[Tensor, "sentence token"]
    mask: Int[Tensor, "sentence token"]
    real: Bool[Tensor, "sentence token"]

    def to(self, device: torch.device) -> Batch:
        """Tokens on another device; ``rows`` and ``real`` are read on the CPU."""
        return Batch(self.rows, self.ids.to(device), self.mask.to(device), self.real)


@dataclass(frozen=True)
class BatchPlan:
    """A tokenised corpus and its division into batches, longest sentences first.

    Longest first, so that a batch too large for the memory fails at once, and the time left is
    overestimated rather than under.
    """

    ids: tuple[np.ndarray, ...]
    real: tuple[np.ndarray, ...]
    batches: tuple[tuple[int, ...], ...]
    n_truncated: int
    pad: int
    batch_tokens: int

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every token, of which are real, and of the division into batches."""
        digest = hashlib.sha256(repr(self.batches).encode())
        for ids, real in zip(self.ids, self.real, strict=True):
            digest.update(ids.tobytes() + real.tobytes())
        return digest.hexdigest()

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sentence."""
        return tuple(map(len, self.ids))

    def divided(self, batch_tokens: int) -> BatchPlan:
        """The same sentences in batches of another size."""
        batches = divide(self.lengths, batch_tokens)
        return replace(self, batches=batches, batch_tokens=batch_tokens)

    def batch(self, number: int) -> Batch:
        """Assemble one batch on the CPU."""
        rows = self.batches[number]
        ids = [torch.from_numpy(self.ids[row]).long() for row in rows]
        mask = pad_sequence([torch.ones_like(i) for i in ids], batch_first=True)
        real = pad_sequence([torch.from_numpy(self.real[row]) for row in rows], batch_first=True)
        padded = pad_sequence(ids, batch_first=True, padding_value=self.pad)
        return Batch(torch.tensor(rows), padded, mask, real)


def plan_batches(
    corpus: LabelledCorpus,
    tokenizer: Any,
    reading: Reading = DEFAULT_READING,
    *,
    context: int,
    n_words: int = sys.maxsize,
    **options: Unpack[ReadingOptions],
) -> BatchPlan:
    """Tokenise a corpus and divide it into batches of similar length.

    Args:
        corpus: sentences by language.
        tokenizer: the model's plain tokenizer.
        reading: how sentences are read; ``batch_tokens="auto"`` counts as the usual number.
        context: number of tokens the model takes.
        n_words: token ids that the model embeds, see ``Model.n_words``.
        options: fields of ``reading`` one by one.

    Raises:
        CorpusError: a sentence has no real token, or is longer than the context.
        ModelError: a prefix, and a tokenizer that does not know where its tokens lie; a sentence
            with a token that the model does not embed.

    Warns:
        CorpusWarning: special tokens written in the text, with their number and the first of them.
    """
    reading = reading.changed(options)
    tokens: list[Tokens] = []
    n_truncated = 0
    texts = corpus.flatten()[0]
    for row, read in enumerate(tokenize(texts, tokenizer, prefix=reading.prefix)):
        fits = len(read.ids) <= context
        if not fits and not reading.truncate:
            raise CorpusError(
                f"{source_of(corpus, row)}: {len(read.ids)} tokens, and the model takes {context}: "
                "shorten the sentence, or pass truncate=True (--truncate)"
            )
        n_truncated += not fits
        tokens.append(read if fits else _cut(texts[row], tokenizer, reading.prefix, context))
        require_known(tokens[-1], tokenizer, n_words, source_of(corpus, row))
    real = [read.without_first() if reading.skip_first else read.real for read in tokens]
    if empty := [row for row, own in enumerate(real) if not own.any()]:
        raise CorpusError(
            f"{source_of(corpus, empty[0])}: the sentence has no real token: remove it"
        )
    _warn_of_written(corpus, tokens, tokenizer)
    ids = tuple(read.ids for read in tokens)
    batches = divide([len(own) for own in ids], reading.number)
    pad = padding(tokenizer, n_words)
    return BatchPlan(ids, tuple(real), batches, n_truncated, pad, reading.number)


def source_of(corpus: LabelledCorpus, row: int) -> str:
    """``file:line`` of a sentence by its number in the corpus, for messages."""
    for language in corpus.languages:
        if row < len(corpus.sentences[language]):
            return corpus.where(language, row)
        row -= len(corpus.sentences[language])
    raise IndexError(row)


def _cut(text: str, tokenizer: Any, prefix: str, context: int) -> Tokens:
    return next(tokenize([text], tokenizer, prefix=prefix, context=context))


def _warn_of_written(corpus: LabelledCorpus, tokens: Sequence[Tokens], tokenizer: Any) -> None:
    rows = [row for row, read in enumerate(tokens) if read.written.any()]
    if rows:
        first = int(tokens[rows[0]].ids[tokens[rows[0]].written][0])
        warnings.warn(
            f"special tokens are written in the text of {len(rows)} of {len(tokens)} sentences, "
            f"first {tokenizer.convert_ids_to_tokens(first)!r} in {source_of(corpus, rows[0])}: "
            "the model reads them as such, and they do not count as real tokens",
            CorpusWarning,
            stacklevel=3,
        )


def divide(lengths: Sequence[int], batch_tokens: int) -> tuple[tuple[int, ...], ...]:
    """Rows of each batch, longest first, so that a padded batch has ``batch_tokens`` or fewer."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        # the first sentence of a batch is its longest, so it gives the padded width
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > batch_tokens:
            batches.append([])
        batches[-1].append(row)
    return tuple(map(tuple, batches))
