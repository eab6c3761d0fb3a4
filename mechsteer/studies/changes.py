"""Changes at the rows that results are read at, against no edit: what a figure of effects draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from mechsteer.studies.conditions import Arm
from mechsteer.studies.places import Place
from mechsteer.studies.results import NO_EDIT, arms_of, change

COLUMNS = ["language", "place", "layer", "kind", "edit", "value", "low", "high", "seeds"]


def changes(
    results: pd.DataFrame,
    languages: Iterable[str],
    places: Callable[[str], Mapping[Place, int]],
    *,
    metric: str,
    pairs: str = "all",
) -> pd.DataFrame:
    """Change of a metric against no edit, for each steered language, at each of its places.

    Args:
        results: rows of results at one dose of each edit.
        languages: the steered ones.
        places: the rows of a language by name, see ``mechsteer.studies.places``.
        metric: a metric of the results.
        pairs: ``all`` ordered pairs, or those with the steered language as ``query`` or ``target``.

    Returns:
        Columns language, place, layer, kind, edit, value, low, high, seeds.
    """
    parts, arms = [], [arm for arm in arms_of(results) if arm != NO_EDIT]
    rows = results[results["metric"].isin([metric, f"{metric}.delta"])]  # few, searched often
    for language in languages:
        where = {
            "source": language if pairs == "query" else "*",
            "target": language if pairs == "target" else "*",
        }
        here = rows[(rows["source"] == where["source"]) & (rows["target"] == where["target"])]
        for arm in arms:
            line = change(here, arm, language=language, metric=metric, **where)
            parts.append(at_places(line, places(language), language=language, arm=arm))
    return joined(parts)


def at_places(
    line: pd.DataFrame, places: Mapping[Place, int], *, language: str, arm: Arm
) -> pd.DataFrame:
    """Rows of a line by layer at the places that it has."""
    measured = set(line["layer"])
    found = {place: at for place, at in places.items() if at in measured}
    rows = line.set_index("layer").loc[[*found.values()]].reset_index()
    return rows.assign(language=language, place=[*found], **arm._asdict())


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Parts below each other; of none, a table without rows."""
    full = [part for part in parts if len(part)]
    table = pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=COLUMNS)
    return table[COLUMNS]
