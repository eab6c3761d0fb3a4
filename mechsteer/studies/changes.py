"""Changes at the rows that results are read at, against no edit: what a figure of effects draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from mechsteer.studies.conditions import Arm
from mechsteer.studies.places import Place
from mechsteer.studies.results import NO_EDIT, arms_of, pooled

COLUMNS = ["language", "place", "layer", "kind", "edit", "value", "low", "high", "seeds"]
ENDS = ["value", "low", "high"]
Places = Callable[[str], Mapping[Place, int]]


def changes(
    results: pd.DataFrame,
    languages: Iterable[str],
    places: Places,
    *,
    metric: str,
    pairs: str = "all",
) -> pd.DataFrame:
    """Change of a metric against no edit, for each steered language, at each of its places.

    The rows of ``metric.delta`` carry paired intervals; where there are none the difference of the
    values stands in, with the range of seeds but without an interval.

    Args:
        results: rows of results at one dose of each edit.
        languages: the steered ones.
        places: the rows of a language by name, see ``mechsteer.studies.places``.
        metric: a metric of the results.
        pairs: ``all`` ordered pairs, or those with the steered language as ``query`` or ``target``.

    Returns:
        Columns language, place, layer, kind, edit, value, low, high, seeds.
    """
    arms = [arm for arm in arms_of(results) if arm != NO_EDIT]
    asked = _asked(languages, places, arms, pairs)
    paired = _read(results, asked, f"{metric}.delta")
    if paired["seeds"].notna().all():
        return _told(paired)
    edited = _read(results, asked, metric)
    base = _read(results, asked.assign(kind=NO_EDIT.kind, edit=NO_EDIT.edit), metric)["value"]
    less = edited[ENDS].sub(base, axis=0)
    less[["low", "high"]] = less[["low", "high"]].where(edited["seeds"] > 1)
    return _told(paired.where(paired["seeds"].notna(), edited.assign(**less)))


def at_places(
    results: pd.DataFrame, languages: Iterable[str], places: Places, *, arm: Arm, metric: str
) -> pd.DataFrame:
    """A metric over all pairs under one arm, as :func:`changes` gives it; no rows without any."""
    return _told(_read(results, _asked(languages, places, [arm], "all"), metric))


def _asked(
    languages: Iterable[str], places: Places, arms: Iterable[Arm], pairs: str
) -> pd.DataFrame:
    """One row a steered language, arm and place: what is looked up."""
    rows = [
        (code, place, layer, *arm, code)
        for code in languages
        for arm in arms
        for place, layer in places(code).items()
    ]
    asked = pd.DataFrame(rows, columns=[*COLUMNS[:5], "whose"])
    ends = {"source": "query", "target": "target"}
    return asked.assign(**{e: asked["language"] if pairs == p else "*" for e, p in ends.items()})


def _read(results: pd.DataFrame, asked: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Value, low, high and seeds of each row asked for; missing where there is no such result.

    What depends on no steered language carries the language "" and stands in for all.
    """
    rows = results[results["metric"] == metric]
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
