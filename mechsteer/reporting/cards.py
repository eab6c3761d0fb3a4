"""Cards of single neurons, as the page shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import langcodes
import pandas as pd

from mechsteer import plots
from mechsteer.cards import Cards
from mechsteer.display import number
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.figures import Figure
from mechsteer.reporting.names import brief
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import csv_text, minus

CARDS_ON_PAGE = 12
LONGEST = 400  # characters of a sentence; a longer one is cut around its strongest token
LEVELS = 8  # of colour
NAMED = 3  # level from which a token tells its activation under the mouse


@dataclass(frozen=True)
class Piece:
    """A stretch of text with its colour (``p1`` to ``p8``, ``n1`` to ``n8``) and activation."""

    text: str
    level: str
    value: str


@dataclass(frozen=True)
class Sentence:
    """A sentence a neuron fires on; ``tongue`` is its BCP 47 tag, empty where there is none."""

    language: str
    tongue: str
    value: str
    pieces: tuple[Piece, ...]
    cut: int


@dataclass(frozen=True)
class Card:
    """One neuron, ready for the template."""

    key: str
    heading: str
    language: str
    rank: int
    layer: int
    figure: Figure
    sentences: tuple[Sentence, ...]
    promoted: tuple[str, ...]
    suppressed: tuple[str, ...]
    scored: str


def cards_of(data: ReportData) -> list[Card]:
    """The first cards of a run; the tables beside the page have all."""
    if data.cards is None:
        return []
    shown = data.cards.neurons.head(CARDS_ON_PAGE)
    return [
        _card(data, row, _tables_of(data.cards, card))
        for row, card in zip(shown.itertuples(), shown["card"], strict=True)
    ]


def _card(data: ReportData, row: Any, tables: Mapping[str, pd.DataFrame]) -> Card:
    component = "" if row.component == "post" else f", {row.component}"
    heading = f"Layer {row.layer}, neuron {row.neuron}{component}"
    words = {
        direction: tuple(map(visible, rows.sort_values("place")["token"]))
        for direction, rows in tables["writes"].groupby("direction")
    }
    return Card(
        key=f"card-{row.card}",
        heading=heading,
        language=row.language,
        rank=row.rank,
        layer=row.layer,
        figure=_figure(data, row, tables, heading=heading),
        sentences=_sentences(data, tables["sentences"], tables["tokens"]),
        promoted=words.get("promoted", ()),
        suppressed=words.get("suppressed", ()),
        scored=_scored(data, tables["scores"], row.language, getattr(row, "part", "")),
    )


def _scored(data: ReportData, scores: pd.DataFrame, language: str, part: str) -> str:
    """Both average precisions of a neuron, in words."""
    own = scores[scores["language"] == language].iloc[0]
    least = f" within {brief(part)}, where it is least" if part else ""
    words = f"AP {own['ap']:.3f} among all {data.kinds}{least}"
    if data.label:
        return words
    if pd.isna(own.get("script_ap")):
        return f"{words}; no other language of its script was recorded"
    return f"{words}, {own['script_ap']:.3f} among those of its script"


def _tables_of(cards: Cards, card: int) -> dict[str, pd.DataFrame]:
    return {
        name: frame[frame["card"] == card].drop(columns="card")
        for name, frame in cards.tables.items()
    }


def _figure(
    data: ReportData, row: Any, tables: Mapping[str, pd.DataFrame], *, heading: str
) -> Figure:
    own = tables["scores"][tables["scores"]["language"] == row.language].iloc[0]
    chance, ap = float(own["prevalence"]), float(own["ap"])
    held = _held_at(data, row)
    drawings = {
        "activations": plots.activations(tables["histograms"], language=row.language, clamp=held),
        "precision": plots.precision_recall(tables["curves"], chance=chance, ap=ap),
        "scores": plots.language_scores(tables["scores"], language=row.language, kind=data.kind),
    }
    alts = {
        "activations": f"Histogram of pooled activations for {row.language} and all others"
        + ("." if held is None else f"; an edit holds the neuron at {held:.3g} at each token."),
        "precision": f"Precision over recall; average precision {ap:.3f}, chance {chance:.3f}.",
        "scores": f"Average precision as a detector of each {data.kind}.",
    }
    name = f"card-{row.card}"
    return Figure(
        key=f"{name}-figure",
        title=f"{heading} as a detector.",
        caption="",
        panels=tuple(
            inline(ax, key=f"{name}-{part}", alt=f"{heading}. {alts[part]}")
            for part, ax in drawings.items()
        ),
        data={
            f"{name}-{part}": csv_text(data.told(tables[part]))
            for part in ("scores", "histograms", "curves")
        },
        width="card",
    )


def _held_at(data: ReportData, row: Any) -> float | None:
    """Where the edit of the page holds the neuron, if there is one and it is of its experts."""
    experts = data.experts
    if "value" not in experts:
        return None
    here = (experts["layer"] == row.layer) & (experts["neuron"] == row.neuron)
    here &= experts["language"] == row.language
    if "component" in experts:
        here &= experts["component"] == row.component
    return float(experts.loc[here, "value"].iloc[0]) if here.any() else None


def _sentences(
    data: ReportData, sentences: pd.DataFrame, tokens: pd.DataFrame
) -> tuple[Sentence, ...]:
    largest = float(tokens["value"].abs().max()) if len(tokens) else 1.0
    found = []
    held = sentences["value"].astype(float)
    for row, value in zip(sentences.itertuples(), held, strict=True):
        spans = tokens[tokens["place"] == row.place]
        places = list(zip(spans["start"], spans["end"], spans["value"], strict=True))
        start, stop = window(len(str(row.text)), places)
        found.append(
            Sentence(
                language=str(row.language),
                tongue="" if data.label else tongue(str(row.language)),
                value=minus(number(value, ".2f")),
                pieces=tuple(pieces(str(row.text), places, start, stop, largest=largest or 1.0)),
                cut=len(str(row.text)) - (stop - start),
            )
        )
    return tuple(found)


def window(length: int, spans: Sequence[tuple[int, int, float]]) -> tuple[int, int]:
    """The stretch of a text that is shown: all of it, or ``LONGEST`` around the strongest token.

    >>> window(10, []), window(1000, [(900, 901, 2.0)])
    ((0, 10), (600, 1000))
    """
    if length <= LONGEST:
        return 0, length
    centre = max(spans, key=lambda span: abs(span[2]))[0] if spans else 0
    start = min(max(centre - LONGEST // 2, 0), length - LONGEST)
    return start, start + LONGEST


def pieces(
    text: str,
    spans: Sequence[tuple[int, int, float]],
    start: int,
    stop: int,
    *,
    largest: float,
) -> list[Piece]:
    """A text cut at its spans; together the pieces are ``text[start:stop]``, nothing lost."""
    found, at = [], start
    for begin, end, value in spans:
        first, last = max(begin, start), min(end, stop)
        if first >= last:
            continue
        if at < first:
            found.append(Piece(text[at:first], "", ""))
        level = math.ceil(LEVELS * abs(value) / largest - 0.5)
        colour = f"{'p' if value > 0 else 'n'}{min(level, LEVELS)}" if level > 0 else ""
        named = level >= NAMED
        found.append(Piece(text[first:last], colour, minus(number(value, ".2f")) if named else ""))
        at = last
    if at < stop:
        found.append(Piece(text[at:stop], "", ""))
    return found


def visible(token: str) -> str:
    r"""A token with its spaces and line breaks shown.

    >>> visible(" the"), visible("\n")
    ('▁the', '↵')
    """
    return token.replace(" ", "▁").replace("\n", "↵").replace("\t", "⇥").replace("\r", "␍")


def tongue(code: str) -> str:
    """The tag that tells a browser which letters to draw (kanji or hanzi) and how to read aloud.

    >>> tongue("jpn_Jpan"), tongue("<b>")
    ('ja', '')
    """
    try:
        return str(langcodes.standardize_tag(code.replace("_", "-")))
    except langcodes.LanguageTagError:
        return ""
