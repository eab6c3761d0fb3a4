"""One neuron of a recording, of scores or of a card: what its figures draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from mechsteer.cards import Cards
from mechsteer.errors import MechsteerError, shown
from mechsteer.experts import NeuronScores
from mechsteer.experts.chosen import Expert
from mechsteer.model.sites import Site
from mechsteer.plots.given import named, refuse, with_columns
from mechsteer.recording import Recording


def detected(
    recording: Recording, neuron: Expert | int | None, language: str
) -> tuple[np.ndarray, np.ndarray, str]:
    """A neuron's pooled activations, which sentences are the positives, and what they are called.

    Raises:
        MechsteerError: no such neuron or language, or none named.
    """
    language = language or getattr(neuron, "language", "")
    if not language:
        known = ", ".join(recording.told_apart[:6])
        raise MechsteerError(f"expected language=, one of {known}")
    language = named(language, recording.told_apart)
    flat = _number(recording.site, neuron)
    (values,) = recording.columns(range(flat, flat + 1), recording.pooling[:1]).values()
    return (
        values[0][:, 0].float().cpu().numpy(), recording.having(language).cpu().numpy(), language
    )  # fmt: skip


def every_score(scores: NeuronScores, neuron: Expert | int | None) -> pd.DataFrame:
    """A neuron's average precision for every language, with the level of chance.

    Raises:
        MechsteerError: no such neuron, or none named.
    """
    ap = scores.ap[:, _number(scores.site, neuron)].tolist()
    chance = [scores.prevalence(code) for code in scores.languages]
    return pd.DataFrame({"language": scores.languages, "ap": ap, "prevalence": chance})


def card_table(cards: Cards, name: str) -> pd.DataFrame:
    """A table of one card.

    Raises:
        MechsteerError: there are several, or none.
    """
    if len(cards) != 1:
        raise MechsteerError(f"expected one card, cards[0] say, got {len(cards)}")
    return cards.tables[name]


def card_language(cards: Cards) -> str:
    """Whom one card is about."""
    return str(card_table(cards, "neurons")["language"].iloc[0])


def detector_table(given: Any, name: str, columns: Iterable[str]) -> pd.DataFrame:
    """A table of one neuron.

    Raises:
        MechsteerError: it is none, lacks a column, has no rows, or is of several cards.
    """
    if not isinstance(given, pd.DataFrame):
        held = "NeuronScores" if name == "scores" else "a Recording"
        refuse(given, held, "one card (cards[0])", f"its table of {name} (cards[0].{name})")
    if "card" in given and given["card"].nunique() > 1:
        raise MechsteerError(f"expected one card, cards[0].{name} say, got several")
    return with_columns(given, columns, name)


def _number(site: Site, neuron: Expert | int | None) -> int:
    if isinstance(neuron, Expert):
        return site.number(neuron.component, neuron.layer, neuron.neuron)
    if isinstance(neuron, int) and not isinstance(neuron, bool):
        site.locate(neuron)  # refuses a number that is none
        return neuron
    raise MechsteerError(f"expected neuron=, an expert or a flat number, got {shown(neuron)}")
