"""Cards from scores and a recording, and one more pass over the few sentences they show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from mechsteer.analysis.detection import activation_histogram, precision_recall
from mechsteer.cards.store import Cards
from mechsteer.cards.tokens import Shown, token_activations
from mechsteer.cards.writes import written
from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.errors import MechsteerError, shown
from mechsteer.experts.concepts import parts_of
from mechsteer.experts.scores import NeuronScores
from mechsteer.kernels import score_labelings
from mechsteer.model.sites import HookSite
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import progress as bar
from mechsteer.progress import with_bars
from mechsteer.recording.reading import DEFAULT_READING, Reading

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus
    from mechsteer.recording import Recording

SCORES = ("ap", "auroc", "effect_size", "mean", "median", "std")

_DIGITS = 18  # of a number that fits 64 bits


class Subject(NamedTuple):
    """Whom a card is about: a flat neuron number of the site, and the language to tell apart."""

    neuron: int
    language: str


def top_subjects(scores: NeuronScores, languages: Sequence[str], count: int) -> list[Subject]:
    """The best neurons of each language by average precision."""
    return [
        Subject(neuron, language)
        for language in languages
        for neuron in scores.top(language, count).index.tolist()
    ]


def named_subject(scores: NeuronScores, name: str) -> Subject:
    """``LAYER:NEURON``, or ``COMPONENT:LAYER:NEURON`` where a site has several components.

    For example ``3:120``, ``gate:3:120`` or ``encoder.post:3:120``.

    The card is about the language that the neuron detects best.

    Raises:
        MechsteerError: the name is not of that form, or the site has no such neuron or several.
    """
    *component, layer, neuron = name.split(":") if ":" in name else ("", "")
    numbers = all(part.isdecimal() and len(part) <= _DIGITS for part in (layer, neuron))
    if len(component) > 1 or not numbers:
        raise MechsteerError(
            f"expected a neuron as LAYER:NEURON, for example 3:120, got {shown(name)}"
        )
    points = list(zip(scores.site.points, scores.site.offsets, strict=True))
    found = {
        f"{point.component}:{layer}:{neuron}": offset + int(neuron)
        for point, offset in points
        if point.layer == int(layer) and component in ([], [point.component])
        if int(neuron) < point.width
    }
    if len(found) != 1:
        known = found or [f"{p.component}:{p.layer}:0–{p.width - 1}" for p, _ in points[:3]]
        raise MechsteerError(
            f"site {scores.site.name!r} has {len(found) or 'no'} neurons {name}: expected one of "
            + ", ".join(known)
            + ("" if found else " …")
        )
    flat = next(iter(found.values()))
    return Subject(flat, scores.languages[int(scores.ap[:, flat].argmax())])


@with_bars
def make_cards(
    model: ModelLike,
    corpus: Sentences,
    recording: Recording,
    scores: NeuronScores,
    subjects: Sequence[Subject],
    *,
    reading: Reading = DEFAULT_READING,
    n_sentences: int = 5,
    progress: bool = True,
) -> Cards:
    """Make the cards of some neurons.

    Distributions and top sentences come from the recording; the model runs once more over the top
    sentences alone, for the activation on each token.

    Args:
        model: the model that was recorded.
        corpus: the sentences that were recorded.
        recording: their pooled activations.
        scores: what was made of them.
        subjects: a card each, in this order; repeated ones once.
        reading: how the sentences were read.
        n_sentences: top sentences of a card, by pooled activation, equal ones in corpus order.
        progress: show bars where a terminal watches.
    """
    model, corpus = as_model(model), as_labelled(corpus)
    subjects = list(dict.fromkeys(subjects))
    tokenizer = model.plain_tokenizer
    tables: dict[str, list[pd.DataFrame]] = {}
    shown: list[Shown] = []
    for card, subject in enumerate(bar(subjects, "making cards", "card")):
        point, neuron = _place(scores, subject)
        values = recording.activations(point)[:, neuron].float().cpu().numpy()
        positive = recording.having(subject.language).numpy()
        top = _top_sentences(corpus, values, n_sentences)
        within, rows = _least(recording, values, positive)
        parts = {
            "neurons": _head(scores, subject).assign(part=within),
            "scores": _scores(scores, subject.neuron),
            "histograms": activation_histogram(values, positive),
            "curves": precision_recall(values[rows], positive[rows]),
            "sentences": top,
            "writes": written(model, tokenizer, point, neuron),
        }
        for name, part in parts.items():
            tables.setdefault(name, []).append(part.assign(card=card))
        shown += [
            Shown(card, int(place), subject.neuron, str(language), str(text))
            for place, language, text in zip(
                top["place"], top["language"], top["text"], strict=True
            )
        ]
    tokens = token_activations(model, tokenizer, scores.site, shown, reading=reading)
    whole = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return Cards(**whole, tokens=tokens)


def _place(scores: NeuronScores, subject: Subject) -> tuple[HookSite, int]:
    """Hook point of a subject, and its number there."""
    place = bisect_right(scores.site.offsets, subject.neuron) - 1
    return scores.site.points[place], subject.neuron - scores.site.offsets[place]


def _head(scores: NeuronScores, subject: Subject) -> pd.DataFrame:
    point, neuron = _place(scores, subject)
    order = scores.top(subject.language, scores.site.n_neurons).index.tolist()
    head = {"component": point.component, "layer": point.layer, "neuron": neuron}
    rank = order.index(subject.neuron) + 1
    return pd.DataFrame([head | {"language": subject.language, "rank": rank}])


def _least(
    recording: Recording, values: np.ndarray, positive: np.ndarray
) -> tuple[str, np.ndarray | slice]:
    """The part of a corpus in which a neuron detects a concept least, which is its score."""
    parts = parts_of(recording)
    if len(parts) == 1:
        return "", slice(None)
    z, member = torch.from_numpy(values)[:, None], torch.from_numpy(positive)[None]
    ap = {name: float(score_labelings(z[at], member[:, at]).ap) for name, at in parts.items()}
    name = min(ap, key=lambda part: ap[part])
    return name, parts[name].numpy()


def _scores(scores: NeuronScores, neuron: int) -> pd.DataFrame:
    columns = {name: getattr(scores, name)[:, neuron].numpy() for name in SCORES}
    prevalence = [scores.prevalence(language) for language in scores.languages]
    table = pd.DataFrame({"language": scores.languages} | columns | {"prevalence": prevalence})
    peers = {
        code: scores.among(code, "script") for code in scores.languages if scores.has_peers(code)
    }
    found = {code: float(own.ap[own.row(code), neuron]) for code, own in peers.items()}
    return table.assign(script_ap=table["language"].map(found).astype(float))


def _top_sentences(corpus: LabelledCorpus, values: np.ndarray, count: int) -> pd.DataFrame:
    """The sentences a neuron fires on most: place, language, sentence, value, text."""
    texts, labels = corpus.flatten()
    first = np.searchsorted(labels, range(len(corpus.languages)))
    top = np.argsort(-values, kind="stable")[:count]
    return pd.DataFrame(
        [
            (
                place,
                corpus.languages[labels[row]],
                row - first[labels[row]],
                values[row],
                texts[row],
            )
            for place, row in enumerate(top.tolist(), 1)
        ],
        columns=["place", "language", "sentence", "value", "text"],
    )
