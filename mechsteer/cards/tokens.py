"""The activation of a few neurons on every token of a few sentences, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.cards.spans import spans
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import ModelError
from mechsteer.model.decoder import by_token
from mechsteer.model.hooks import input_device, read
from mechsteer.model.load import context_length
from mechsteer.model.sites import HookSite, Site
from mechsteer.recording.batches import Plan, plan_batches
from mechsteer.recording.reading import Reading

COLUMNS = ["card", "place", "start", "end", "value"]


class Shown(NamedTuple):
    """A sentence on a card, and the flat number of the card's neuron."""

    card: int
    place: int
    neuron: int
    language: str
    text: str


def token_activations(
    model: Any, tokenizer: Any, site: Site, shown: Sequence[Shown], *, reading: Reading
) -> pd.DataFrame:
    """Activations on the spans of each sentence's text: card, place, start, end, value.

    Every sentence runs once, whatever the number of its cards. Special tokens, and the first token
    where it is left out, have no span.

    Raises:
        ModelError: the tokenizer does not say which characters a token came from.
    """
    if not tokenizer.is_fast:
        raise ModelError("cards need a fast tokenizer, which says where in a text each token lies")
    neurons = sorted({sentence.neuron for sentence in shown})
    corpus = _corpus(shown)
    context = context_length(model, tokenizer)
    plan = plan_batches(corpus, tokenizer, reading, context=context)
    values = _run(model, plan, site, neurons)
    texts = corpus.flatten()[0]
    number = {text: row for row, text in enumerate(texts)}
    offsets = [
        tokenizer(
            text, return_offsets_mapping=True, truncation=reading.truncate, max_length=context
        )["offset_mapping"]
        for text in texts
    ]
    found = []
    for sentence in shown:
        row = number[sentence.text]
        on_tokens = values[row][:, neurons.index(sentence.neuron)].tolist()
        real = [
            (place, value)
            for place, value, counts in zip(offsets[row], on_tokens, plan.real[row], strict=True)
            if counts
        ]
        places, activations = zip(*real, strict=True)
        head = (sentence.card, sentence.place)
        found += [(*head, *span) for span in spans(sentence.text, places, activations)]
    return pd.DataFrame(found, columns=COLUMNS)


def _corpus(shown: Sequence[Shown]) -> LabelledCorpus:
    """Every text once, under the first language that shows it."""
    languages: dict[str, str] = {}
    for sentence in shown:
        languages.setdefault(sentence.text, sentence.language)
    texts: dict[str, list[str]] = {}
    for text, language in languages.items():
        texts.setdefault(language, []).append(text)
    return LabelledCorpus(texts)


@torch.inference_mode()
def _run(
    model: Any, plan: Plan, site: Site, neurons: Sequence[int]
) -> dict[int, Float[Tensor, "token neuron"]]:
    """Activations of some neurons, flat numbers in ascending order, on the tokens of each row."""
    parts = list(zip(site.points, site.offsets, strict=True))
    own = {
        point: torch.tensor([n - first for n in neurons if first <= n < first + point.width])
        for point, first in parts
    }
    device = input_device(model.original_model)
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
