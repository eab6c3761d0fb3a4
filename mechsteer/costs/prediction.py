"""How well a model predicts text, and how far an edit moves what it predicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.costs.likelihood import add, divergences, logits_of, negative_log
from mechsteer.costs.windows import WindowBatch, batches, read, require_text, resolve
from mechsteer.display import Displayed, count, number
from mechsteer.equality import ByValue
from mechsteer.interventions import Edit
from mechsteer.model.interface import Model
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import progress as watched
from mechsteer.recording import Reading
from mechsteer.recording.tokens import padding
from mechsteer.steering import Positions, steer


@dataclass(frozen=True, eq=False, repr=False)
class Perplexity(Displayed, ByValue):
    """How well texts are predicted: per text the nats, the tokens and the bytes they are spread on.

    ``nll`` is ``-Σ log p(token | tokens before it)`` in nats, float64 ``[text]``.
    """

    nll: Float[Tensor, " text"]
    n_tokens: Int[Tensor, " text"]
    n_bytes: Int[Tensor, " text"]

    def _line(self) -> str:
        bits = f"{number(self.bits_per_byte)} bits per byte"
        return (
            f"{count(len(self.nll), 'text')}: {bits}, perplexity {number(self.perplexity, '.4g')}"
        )

    @property
    def perplexity(self) -> float:
        """``exp(nll / tokens)``, which compares models of one tokeniser only; inf beyond e^709."""
        mean = self.nll.sum().item() / int(self.n_tokens.sum())
        return math.exp(mean) if mean < 709 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """``nll / ln 2 / bytes`` of the UTF-8 text, which compares whatever the tokeniser."""
        return self.nll.sum().item() / math.log(2) / int(self.n_bytes.sum())


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Displayed, ByValue):
    """What an edit did to a model's predictions on texts.

    ``kl`` is ``Σ KL(before ‖ after)`` over the tokens of a text in nats, float64 ``[text]``.
    """

    before: Perplexity
    after: Perplexity
    kl: Float[Tensor, " text"]

    def _line(self) -> str:
        before, after = number(self.before.bits_per_byte), number(self.after.bits_per_byte)
        kl = number(self.kl_per_token)
        return f"{before} → {after} bits per byte, KL divergence {kl} nats a token"

    @property
    def kl_per_token(self) -> float:
        """Mean over all tokens of ``KL(before ‖ after)``, in nats."""
        return self.kl.sum().item() / int(self.before.n_tokens.sum())


def perplexity(
    model: ModelLike,
    texts: str | Sequence[str],
    *,
    window: int | None = None,
    stride: int | None = None,
    tokenizer: Any = None,
    prefix: str = "",
    batch_tokens: int = 2048,
    progress: bool = True,
) -> Perplexity:
    """Measure how well a model predicts text, by sliding windows; edits that are installed act.

    Every real token of a text is predicted once (special tokens written in it are only read, see
    ``mechsteer.recording.tokens``), the first from what opens a text (see
    ``windows.opening``), later ones from at least ``window - stride`` tokens before them, and each
    text by itself. So all bytes of the text count and none are counted twice. Sums are float64.

    Args:
        model: a causal one in eval mode, whatever ``mechsteer.wrap`` takes.
        texts: one long text, or several independent ones.
        window: tokens of a pass; the model's context by default.
        stride: tokens that a window moves by; 512 by default (Sundar et al. 2025), or half the
            window if that is less.
        tokenizer: the model's plain one by default.
        prefix: what the model reads before each text; it is not predicted.
        batch_tokens: tokens of a pass, padding included. Logits take ``batch_tokens x vocabulary``
            values.
        progress: show a bar where a terminal watches.

    Raises:
        CorpusError: a text that is blank, not Unicode, or has no real token.
        ModelError: train mode, a model that does not predict the next token, or logits that are
            not finite.
        MechsteerError: a window beyond the context, or a stride that leaves a gap.

    Source: the sliding window of the Hugging Face guide to perplexity, in which here no token is
    lost between windows.
    """
    model = as_model(model)
    asked = _Asked(
        model,
        texts,
        window=window,
        stride=stride,
        tokenizer=tokenizer,
        prefix=prefix,
        batch_tokens=batch_tokens,
    )
    nll = torch.zeros(len(asked.n_tokens), dtype=torch.float64)
    for batch in asked.watched(show=progress):
        logits = logits_of(model, batch)
        add(nll, batch, negative_log(logits, batch), model)
    return asked.predicted(nll)


def compare(
    model: ModelLike,
    *edits: Edit,
    texts: str | Sequence[str],
    positions: Positions = "all",
    languages: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    tokenizer: Any = None,
    prefix: str = "",
    batch_tokens: int = 2048,
    progress: bool = True,
) -> Comparison:
    """Perplexity without and with edits, and the divergence between them, in one pass.

    Each batch runs twice, so that memory holds two batches of logits and no more. The divergence is
    ``KL(before ‖ after) = Σ_w p(w) (log p(w) - log q(w))`` at every token that is predicted, with p
    the model as it stands (edits already installed on it included) and q the one with these edits.

    Args:
        model: a causal one in eval mode, whatever ``mechsteer.wrap`` takes.
        edits: see ``ms.steer``, as for ``positions`` and ``languages``, the language of all texts.
        positions: where the edits act.
        texts: see ``perplexity``, as for all others.
        languages: of the texts, for edits that depend on it.
        window: tokens of a pass.
        stride: tokens that a window moves by.
        tokenizer: the model's plain one by default.
        prefix: what the model reads before each text; it is not predicted.
        batch_tokens: tokens of a pass, padding included.
        progress: show a bar where a terminal watches.

    Raises:
        CorpusError, ModelError, MechsteerError: as ``perplexity``, and what ``ms.steer`` refuses.
    """
    model = as_model(model)
    asked = _Asked(
        model,
        texts,
        window=window,
        stride=stride,
        tokenizer=tokenizer,
        prefix=prefix,
        batch_tokens=batch_tokens,
    )
    before, after, kl = torch.zeros(3, len(asked.n_tokens), dtype=torch.float64)
    for batch in asked.watched(show=progress):
        p = logits_of(model, batch)
        with steer(model, *edits, positions=positions, languages=languages, tokenizer=tokenizer):
            q = logits_of(model, batch)
        add(before, batch, negative_log(p, batch), model)
        add(after, batch, negative_log(q, batch), model)
        add(kl, batch, divergences(p, q, batch), model)
    return Comparison(asked.predicted(before), asked.predicted(after), kl)


class _Asked:
    """Texts that are to be predicted, checked, tokenised and divided."""

    def __init__(
        self,
        model: Model,
        texts: str | Sequence[str],
        *,
        window: int | None,
        stride: int | None,
        tokenizer: Any,
        prefix: str,
        batch_tokens: int,
    ) -> None:
        model.require_eval()
        model.require_causal()
        texts = [texts] if isinstance(texts, str) else list(texts)
        require_text(texts)
        reading = Reading(batch_tokens=batch_tokens, prefix=prefix)
        tokenizer = tokenizer or model.plain_tokenizer
        width, step = resolve(model.context_length(tokenizer), window, stride)
        own = read(texts, tokenizer, n_words=model.n_words, prefix=reading.prefix)
        self.n_tokens = torch.tensor([int(text.asked.sum()) for text in own])
        self.n_bytes = torch.tensor([text.n_bytes for text in own])
        self.batches = list(
            batches(
                own,
                window=width,
                stride=step,
                batch_tokens=reading.number,
                pad=padding(tokenizer, model.n_words),
            )
        )

    def watched(self, *, show: bool) -> Iterable[WindowBatch]:
        return watched(self.batches, "predicting", "batch") if show else self.batches

    def predicted(self, nll: Float[Tensor, " text"]) -> Perplexity:
        return Perplexity(nll, self.n_tokens, self.n_bytes)
