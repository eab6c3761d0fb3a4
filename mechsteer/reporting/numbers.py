"""The tables of the page: effects in numbers, and the first experts of each language."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from mechsteer.reporting.cards import CARDS_ON_PAGE
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.effects import effects
from mechsteer.reporting.settled import EXPERT_COLUMNS
from mechsteer.reporting.tables import Table, table
from mechsteer.studies.conditions import Arm

TOP_EXPERTS, ROWS = 10, 600  # rows a language and in all on the page; the table on disk has all
EFFECTS = 1500  # rows on the page from which it leaves some out
SHARES = ("retrieval_top1", "mexa")
PAIRS = {"all": "all pairs", "query": "steered as query", "target": "steered as target"}


def numbers(data: ReportData) -> pd.DataFrame:
    """Effects on every share in percentage points: all pairs, and those with the steered language.

    Columns metric, pairs, language, place, layer, edit, change, from, to.
    """
    parts = [
        effects(data, metric=metric, pairs=pairs).assign(metric=metric, pairs=words)
        for metric in SHARES
        if metric in set(data.shown["metric"])
        for pairs, words in PAIRS.items()
    ]
    whole = pd.concat(parts, ignore_index=True)
    ends = ["value", "low", "high"]
    whole[ends] = (100 * whole[ends].astype(float)).round(2)
    whole["edit"] = [
        data.arms[Arm(*pair)] for pair in zip(whole["kind"], whole["edit"], strict=True)
    ]
    whole["place"] = whole["place"].str.replace("_", " ")
    names = {"value": "change", "low": "from", "high": "to"}
    columns = ["metric", "pairs", "language", "place", "layer", "edit", *ends]
    return whole[columns].rename(columns=names)


def fitting(effects: pd.DataFrame) -> pd.DataFrame:
    """As many effects as a page can hold: of very many languages the means, or retrieval alone."""
    for column, kept in (("pairs", PAIRS["all"]), ("metric", SHARES[0])):
        if len(effects) > EFFECTS:
            effects = effects[effects[column] == kept]
    return effects


def top_experts(data: ReportData) -> Table:
    """The first experts of each language with every score they are judged by.

    ``value`` is what an edit holds them at; a page without an edit has none.
    """
    also = ("prevalence", "script_ap", "script_prevalence")
    columns = [name for name in (*EXPERT_COLUMNS, *also) if name in data.experts]
    each = max(1, min(TOP_EXPERTS, ROWS // max(1, data.experts["language"].nunique())))
    first = data.experts[data.experts["rank"] <= data.experts["rank"].min() + each - 1]
    names = {"ap": "AP", "auroc": "AUROC", "effect_size": "d"}
    names |= {"script_ap": "AP, same script", "script_prevalence": "prevalence, same script"}
    shown = table(data.told(first[columns]).rename(columns=names), caption="Top experts")
    return replace(shown, links=_cards_of(data, first))


def _cards_of(data: ReportData, experts: pd.DataFrame) -> dict[int, str]:
    """The card that each expert leads to, by its row; most have none."""
    if data.cards is None:
        return {}
    keys = [name for name in ("component", "layer", "neuron") if name in experts]
    shown = data.cards.neurons.head(CARDS_ON_PAGE)
    cards = {tuple(row[keys]): f"#card-{row['card']}" for _, row in shown.iterrows()}
    named = [tuple(row[keys]) for _, row in experts.iterrows()]
    return {place: cards[name] for place, name in enumerate(named) if name in cards}
