"""Changes at the rows that the report speaks of: against no edit, and against baselines."""

from __future__ import annotations

import pandas as pd

from mechsteer.reporting.data import HEADLINE, ReportData
from mechsteer.studies.conditions import Arm, Kind
from mechsteer.studies.results import NO_EDIT, arms_of, change, series

COLUMNS = ["language", "place", "layer", "kind", "edit", "value", "low", "high", "seeds"]


def effects(data: ReportData, *, metric: str = HEADLINE, pairs: str = "all") -> pd.DataFrame:
    """Change of a metric against no edit, for each steered language, at each of the places.

    Args:
        data: what was measured; rows at the k and strength shown.
        metric: a metric of the results.
        pairs: ``all`` ordered pairs, or those with the steered language as ``query`` or ``target``.

    Returns:
        Columns language, place (see ``mechsteer.studies.places``), layer, kind, edit, value, low,
        high, seeds.
    """
    parts, arms = [], [arm for arm in arms_of(data.shown) if arm != NO_EDIT]
    rows = data.shown[data.shown["metric"].isin([metric, f"{metric}.delta"])]  # few, searched often
    for language in data.steered:
        where = {
            "source": language if pairs == "query" else "*",
            "target": language if pairs == "target" else "*",
        }
        here = rows[(rows["source"] == where["source"]) & (rows["target"] == where["target"])]
        for arm in arms:
            line = change(here, arm, language=language, metric=metric, **where)
            parts += _at_places(data, line, language=language, arm=arm)
    return _joined(parts)


def against(data: ReportData, edit: str, baseline: Kind = "centring") -> pd.DataFrame:
    """What an edit gains over a baseline, paired by sentence: columns as of `effects`.

    No rows where the results hold no such comparison.
    """
    parts, arm, metric = [], Arm("edit", edit), f"{HEADLINE}.vs_{baseline}"
    rows = data.shown[data.shown["metric"] == metric]
    for language in data.steered:
        line = series(rows, arm, language=language, metric=metric)
        parts += _at_places(data, line, language=language, arm=arm)
    return _joined(parts)


def _at_places(
    data: ReportData, line: pd.DataFrame, *, language: str, arm: Arm
) -> list[pd.DataFrame]:
    measured = set(line["layer"])
    found = {place: at for place, at in data.places(language).items() if at in measured}
    rows = line.set_index("layer").loc[[*found.values()]].reset_index()
    return [rows.assign(language=language, place=[*found], **arm._asdict())]


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    full = [part for part in parts if len(part)]
    table = pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=COLUMNS)
    return table[COLUMNS]
