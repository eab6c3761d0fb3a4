"""Changes at the rows that the report speaks of: against no edit, and against baselines."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mechsteer.reporting.data import HEADLINE, ReportData
from mechsteer.studies.conditions import Arm, Kind
from mechsteer.studies.results import NO_EDIT, arms_of, pooled

COLUMNS = ["language", "place", "layer", "kind", "edit", "value", "low", "high", "seeds"]
ENDS = ["value", "low", "high"]


def effects(data: ReportData, *, metric: str = HEADLINE, pairs: str = "all") -> pd.DataFrame:
    """Change of a metric against no edit, for each steered language, at each of the places.

    The rows of ``metric.delta`` carry paired intervals; where there are none the difference of the
    values stands in, with the range of seeds but without an interval.

    Args:
        data: what was measured; rows at the k and strength shown.
        metric: a metric of the results.
        pairs: ``all`` ordered pairs, or those with the steered language as ``query`` or ``target``.

    Returns:
        Columns language, place (see ``mechsteer.studies.places``), layer, kind, edit, value, low,
        high, seeds.
    """
    asked = _asked(data, [arm for arm in arms_of(data.shown) if arm != NO_EDIT], pairs)
    paired = _read(data, asked, f"{metric}.delta")
    if paired["seeds"].notna().all():
        return _told(paired)
    edited = _read(data, asked, metric)
    base = _read(data, asked.assign(kind=NO_EDIT.kind, edit=NO_EDIT.edit), metric)["value"]
    less = edited[ENDS].sub(base, axis=0)
    less[["low", "high"]] = less[["low", "high"]].where(edited["seeds"] > 1)
    return _told(paired.where(paired["seeds"].notna(), edited.assign(**less)))


def against(data: ReportData, edit: str, baseline: Kind = "centring") -> pd.DataFrame:
    """What an edit gains over a baseline, paired by sentence: columns as of `effects`.

    No rows where the results hold no such comparison.
    """
    asked = _asked(data, [Arm("edit", edit)], "all")
    return _told(_read(data, asked, f"{HEADLINE}.vs_{baseline}"))


def _asked(data: ReportData, arms: Iterable[Arm], pairs: str) -> pd.DataFrame:
    """One row a steered language, arm and place: what is looked up."""
    rows = [
        (code, place, layer, *arm, code)
        for code in data.steered
        for arm in arms
        for place, layer in data.places(code).items()
    ]
    asked = pd.DataFrame(rows, columns=[*COLUMNS[:5], "whose"])
    ends = {"source": "query", "target": "target"}
    return asked.assign(**{e: asked["language"] if pairs == p else "*" for e, p in ends.items()})


def _read(data: ReportData, asked: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Value, low, high and seeds of each row asked for; missing where there is no such result.

    What depends on no steered language carries the language "" and stands in for all.
    """
    rows = data.shown[data.shown["metric"] == metric]
    rows = pooled(rows[rows["layer"].isin(asked["layer"])]).rename(columns={"language": "whose"})
    keys = ["kind", "edit", "whose", "source", "target", "layer"]
    rows = rows.astype(dict.fromkeys(keys[:-1], object)).drop(columns="metric")
    own, shared = (one.merge(rows, how="left", on=keys) for one in (asked, asked.assign(whose="")))
    return own.where(own["seeds"].notna(), shared)


def _told(found: pd.DataFrame) -> pd.DataFrame:
    """The rows that there are results for."""
    there = found[found["seeds"].notna()].reset_index(drop=True)
    words = dict.fromkeys(("language", "place", "kind", "edit"), "str")
    ends = dict.fromkeys(ENDS, float)
    return there.astype({**words, **ends, "layer": int, "seeds": int})[COLUMNS]
