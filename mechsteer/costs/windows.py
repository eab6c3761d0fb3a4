"""A text as a model reads it: what stands before it, and the windows that see all of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mechsteer.errors import CorpusError, MechsteerError, ModelError
from mechsteer.recording.batches import divide
from mechsteer.recording.tokens import require_known, tokenize


@dataclass(frozen=True)
class WindowBatch:
    """Windows of one pass, padded on the right.

    ``scored[i, t]`` says that the logits at token t of window i are asked for token t + 1;
    ``texts`` are the numbers of the texts the windows are of.
    """

    texts: Int[Tensor, "window"]
    ids: Int[Tensor, "window token"]
    mask: Int[Tensor, "window token"]
    real: Bool[Tensor, "window token"]
    scored: Bool[Tensor, "window token"]


def opening(tokenizer: Any) -> list[int]:
    """What a text starts with: the special tokens that the tokenizer puts first, if any.

    Else its beginning-of-sequence or else its end-of-sequence token, which is what stands between
    the documents such models were trained on (as in lm-evaluation-harness). So every token of a
    text is predicted from something, and every byte of it counts.

    Raises:
        ModelError: the tokenizer has no special token to start with.
    """
    a = next(tokenize(["a"], tokenizer))
    if before := a.ids[: int(a.added.argmin())].tolist():
        return list(before)
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return [int(token)]
    raise ModelError("the tokenizer has no token to start a text with: set tokenizer.bos_token")


@dataclass(frozen=True)
class Text:
    """A text to predict: tokens with what opens it, which are predicted, and bytes of those."""

    ids: Int[np.ndarray, " token"]
    asked: Bool[np.ndarray, " token"]
    n_bytes: int


def read(
    texts: Sequence[str], tokenizer: Any, *, n_words: int = sys.maxsize, prefix: str = ""
) -> list[Text]:
    """Texts behind what opens them and behind a prefix; only real tokens are predicted.

    Special tokens that a text holds are read as such, and their letters are none of its bytes.

    Raises:
        CorpusError: a text without a real token.
        ModelError: a text with a token that is not among the ``n_words`` the model embeds.
    """
    before = np.array(opening(tokenizer), np.int32)
    found = []
    for number, tokens in enumerate(tokenize(texts, tokenizer, prefix=prefix)):
        if not tokens.real.any():
            raise CorpusError(f"text {number} has no real token: remove it")
        require_known(tokens, tokenizer, n_words, f"text {number}")
        own = ~tokens.added
        ids = np.concatenate([before, tokens.ids[own]])
        asked = np.concatenate([np.zeros(len(before), bool), tokens.real[own]])
        markup = tokenizer.convert_ids_to_tokens(tokens.ids[tokens.written].tolist())
        n_bytes = len(texts[number].encode()) - sum(len(token.encode()) for token in markup)
        found.append(Text(ids, asked, n_bytes))
    return found


def windows(
    n_tokens: int, window: int, stride: int, *, first: int = 1
) -> Iterator[tuple[int, int, int]]:
    """Divide a text into overlapping windows: start, end, and the first token that is scored.

    Tokens before ``first`` are never scored, any other exactly once, in the first window that holds
    it: with at least ``window - stride`` tokens before it, or all there are.

    >>> list(windows(6, window=4, stride=2))
    [(0, 4, 1), (2, 6, 4)]
    """
    scored = first
    for start in range(0, n_tokens, stride):
        end = min(start + window, n_tokens)
        yield start, end, scored
        scored = max(first, end)
        if end == n_tokens:
            return


def batches(
    texts: Sequence[Text],
    *,
    window: int,
    stride: int,
    batch_tokens: int,
    pad: int,
) -> Iterator[WindowBatch]:
    """Windows of texts in batches of similar length, longest first; deterministic."""
    spans = [
        (number, *span)
        for number, text in enumerate(texts)
        for span in windows(len(text.ids), window, stride, first=int(text.asked.argmax()))
        if text.asked[span[2] : span[1]].any()
    ]
    for rows in divide([end - start for _, start, end, _ in spans], batch_tokens):
        chosen = [spans[row] for row in rows]
        ids = [torch.from_numpy(texts[i].ids[start:end]).long() for i, start, end, _ in chosen]
        mask = pad_sequence([torch.ones_like(i) for i in ids], batch_first=True)
        real = [torch.from_numpy(texts[i].asked[start:end]) for i, start, end, _ in chosen]
        scored = [_scored(texts[number].asked, *span) for number, *span in chosen]
        yield WindowBatch(
            torch.tensor([number for number, *_ in chosen]),
            pad_sequence(ids, batch_first=True, padding_value=pad),
            mask,
            pad_sequence(real, batch_first=True),
            pad_sequence(scored, batch_first=True),
        )


def resolve(context: int, window: int | None, stride: int | None) -> tuple[int, int]:
    """Window and stride, by default the context and 512 (half the window if that is less).

    Raises:
        MechsteerError: a window beyond the context, or a stride that leaves a gap.
    """
    width = context if window is None else window
    if not 2 <= width <= context:
        raise MechsteerError(f"expected a window of 2 to {context} tokens, got {window}")
    step = min(512, width // 2) if stride is None else stride
    if not 1 <= step < width:
        raise MechsteerError(
            f"expected a stride of 1 to {width - 1} tokens (the window less one, so that each "
            f"token is predicted from another), got {stride}"
        )
    return width, step


def require_text(texts: Sequence[str]) -> None:
    """Refuse texts without a word, or that UTF-8 cannot hold.

    Raises:
        CorpusError: no text, or one that is blank or not Unicode.
    """
    from mechsteer.corpus.formats.text import flaw

    if not texts:
        raise CorpusError("expected a text, got none")
    for number, text in enumerate(texts):
        if reason := flaw(text):
            raise CorpusError(f"text {number}: {reason}")


def _scored(
    asked: Bool[np.ndarray, " token"], start: int, end: int, first: int
) -> Bool[Tensor, " position"]:
    """Which positions of a window predict a token that is asked for, from ``first`` on."""
    here = asked[start:end].copy()
    here[: first - start] = False
    return torch.from_numpy(np.append(here[1:], False))  # the last position predicts beyond
