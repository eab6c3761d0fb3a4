"""The activation of a few neurons on every token of a few sentences, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.cards.spans import spans
from mechsteer.corpus import LabelledCorpus
from mechsteer.corpus.labels.concepts import Concepts
from mechsteer.errors import ModelError
from mechsteer.model.decoder import by_token
from mechsteer.model.hooks import read
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, Site
from mechsteer.recording.batches import BatchPlan, plan_batches
from mechsteer.recording.finite import remedy
from mechsteer.recording.reading import Reading
from mechsteer.recording.tokens import tokenize

COLUMNS = ["card", "place", "start", "end", "value"]


class Shown(NamedTuple):
    """A sentence on a card, and the flat number of the card's neuron."""

    card: int
    place: int
    neuron: int
    language: str
    text: str


def token_activations(
    model: Model, tokenizer: Any, site: Site, shown: Sequence[Shown], *, reading: Reading
) -> pd.DataFrame:
    """Activations on the spans of each sentence's text: card, place, start, end, value.

    Every sentence runs once, whatever the number of its cards. Tokens that are not real have no
    span.

    Raises:
        ModelError: the tokenizer does not say which characters a token came from, or an activation
            is not finite.
    """
    neurons = sorted({sentence.neuron for sentence in shown})
    corpus = _corpus(shown)
    context, n_words = model.context_length(tokenizer), model.n_words
    plan = plan_batches(corpus, tokenizer, reading, context=context, n_words=n_words)
    values = _run(model, plan, site, neurons)
    texts = corpus.flatten()[0]
    number = {text: row for row, text in enumerate(texts)}
    read = tokenize(
        texts,
        tokenizer,
        prefix=reading.prefix,
        context=context if reading.truncate else None,
        spans=True,
    )
    places = [tokens.spans for tokens in read if tokens.spans is not None]
    found = []
    for sentence in shown:
        row = number[sentence.text]
        on_tokens = values[row][:, neurons.index(sentence.neuron)].numpy()
        real = plan.real[row]
        if not np.isfinite(on_tokens[real]).all():
            raise ModelError(
                f"an activation on {sentence.language} {sentence.text[:40]!r} is not finite: "
                f"{remedy(model.dtype)}"
            )
        here = spans(sentence.text, places[row][real].tolist(), on_tokens[real].tolist())
        found += [(sentence.card, sentence.place, *span) for span in here]
    return pd.DataFrame(found, columns=COLUMNS)


def _corpus(shown: Sequence[Shown]) -> LabelledCorpus:
    """Every text once, under the first language that shows it."""
    languages: dict[str, str] = {}
    for sentence in shown:
        languages.setdefault(sentence.text, sentence.language)
    texts: dict[str, list[str]] = {}
    for text, language in languages.items():
        texts.setdefault(language, []).append(text)
    return LabelledCorpus(
        texts, concepts=Concepts("shown")
    )  # names as they are, whatever they mean


@torch.inference_mode()
def _run(
    model: Model, plan: BatchPlan, site: Site, neurons: Sequence[int]
) -> dict[int, Float[Tensor, "token neuron"]]:
    """Activations of some neurons, flat numbers in ascending order, on the tokens of each row."""
    parts = list(zip(site.points, site.offsets, strict=True))
    own = {
        point: torch.tensor([n - first for n in neurons if first <= n < first + point.width])
        for point, first in parts
    }
    device = model.input_device
    found: dict[int, Tensor] = {}
    for batch in map(plan.batch, range(len(plan.batches))):
        seen: dict[HookSite, Tensor] = {}

        def reader(point: HookSite, seen: dict[HookSite, Tensor]) -> Callable[[Tensor], None]:
            def keep(z: Tensor) -> None:
                chosen = z[..., own[point].to(z.device)].float().cpu()
                seen[point] = by_token(chosen) if point.stack == "decoder" else chosen

            return keep

        readers = {point.hook: reader(point, seen) for point in own if len(own[point])}
        there = batch.to(device)
        read(model, there.ids, there.mask, readers)
        whole = torch.cat([seen[point] for point in own if point in seen], dim=-1)
        lengths = batch.mask.sum(1).tolist()
        for row, rows, length in zip(batch.rows.tolist(), whole, lengths, strict=True):
            found[row] = rows[:length]
    return found
