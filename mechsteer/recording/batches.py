"""Which sentences run together: planned from the whole corpus, so a resumed run is the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from typing_extensions import Unpack

from mechsteer.errors import CorpusError
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus

_CHUNK = 1024  # sentences tokenised at once


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
class Plan:
    """A tokenised corpus and its division into batches, longest sentences first.

    Longest first, so that a batch too large for the memory fails at once, and the time left is
    overestimated rather than under.
    """

    ids: tuple[np.ndarray, ...]
    real: tuple[np.ndarray, ...]
    batches: tuple[tuple[int, ...], ...]
    n_truncated: int
    pad: int

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of every token, of which are real, and of the division into batches."""
        digest = hashlib.sha256(repr(self.batches).encode())
        for ids, real in zip(self.ids, self.real, strict=True):
            digest.update(ids.tobytes() + real.tobytes())
        return digest.hexdigest()

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
    **options: Unpack[ReadingOptions],
) -> Plan:
    """Tokenise a corpus and divide it into batches of similar length.

    Args:
        corpus: sentences by language.
        tokenizer: the model's plain tokenizer.
        reading: how sentences are read.
        context: number of tokens the model takes.
        options: fields of ``reading`` one by one.

    Raises:
        CorpusError: a sentence has no real token, or is longer than the context.
    """
    reading = reading.changed(options)
    ids: list[np.ndarray] = []
    real: list[np.ndarray] = []
    n_truncated = 0
    texts = corpus.flatten()[0]
    for row, encoded in enumerate(_encoded(texts, tokenizer)):
        tokens, special = encoded
        if len(tokens) > context:
            if not reading.truncate:
                raise CorpusError(
                    f"{_place(corpus, row)}: {len(tokens)} tokens, and the model takes {context}: "
                    "shorten the sentence, or pass truncate=True (--truncate)"
                )
            n_truncated += 1
            tokens, special = _truncated(texts[row], tokenizer, context)
        ids.append(tokens)
        real.append(_real(special, skip_first=reading.skip_first))
        if not real[-1].any():
            raise CorpusError(f"{_place(corpus, row)}: the sentence has no real token: remove it")
    batches = divide([len(tokens) for tokens in ids], reading.batch_tokens)
    pad = tokenizer.pad_token_id
    return Plan(tuple(ids), tuple(real), batches, n_truncated, 0 if pad is None else pad)


def _encoded(texts: Sequence[str], tokenizer: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Token ids and special-token mask of each sentence, without padding or truncation."""
    for start in range(0, len(texts), _CHUNK):
        encoded = tokenizer(
            list(texts[start : start + _CHUNK]),
            return_special_tokens_mask=True,
            return_attention_mask=False,
            verbose=False,  # silent about sentences beyond the context, which are checked below
        )
        for ids, special in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True):
            yield np.asarray(ids, np.int32), np.asarray(special, bool)


def _truncated(text: str, tokenizer: Any, context: int) -> tuple[np.ndarray, np.ndarray]:
    encoded = tokenizer(text, return_special_tokens_mask=True, truncation=True, max_length=context)
    return (
        np.asarray(encoded["input_ids"], np.int32),
        np.asarray(encoded["special_tokens_mask"], bool),
    )


def _real(special: np.ndarray, *, skip_first: bool) -> np.ndarray:
    real = ~special
    if skip_first and real.any():
        real[real.argmax()] = False
    return real


def divide(lengths: Sequence[int], batch_tokens: int) -> tuple[tuple[int, ...], ...]:
    """Rows of each batch, longest first, so that a padded batch has ``batch_tokens`` or fewer."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        # the first sentence of a batch is its longest, so it gives the padded width
        if not batches or (len(batches[-1]) + 1) * lengths[batches[-1][0]] > batch_tokens:
            batches.append([])
        batches[-1].append(row)
    return tuple(map(tuple, batches))


def _place(corpus: LabelledCorpus, row: int) -> str:
    """Source and line of a sentence, for an error message."""
    for language in corpus.languages:
        if row < len(corpus.sentences[language]):
            return corpus.where(language, row)
        row -= len(corpus.sentences[language])
    raise IndexError(row)
