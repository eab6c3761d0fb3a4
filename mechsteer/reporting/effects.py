"""Changes at the two layers that the report speaks of: against no edit, and against centring."""

from __future__ import annotations

import pandas as pd

from mechsteer.reporting.data import HEADLINE, ReportData
from mechsteer.studies.results import change, edits_of, series

COLUMNS = ["language", "place", "layer", "edit", "value", "low", "high", "seeds"]
AGAINST_CENTRING = f"{HEADLINE}.vs_centring"


def effects(data: ReportData, *, metric: str = HEADLINE, pairs: str = "all") -> pd.DataFrame:
    """Change of a metric against no edit, for each steered language, at two layers.

    Args:
        data: what was measured; rows at the k and strength shown.
        metric: a metric of the results.
        pairs: ``all`` ordered pairs, or those with the steered language as ``query`` or ``target``.

    Returns:
        Columns language, place (chosen | last), layer, edit, value, low, high, seeds.
    """
    parts = []
    for language in data.steered:
        where = {
            "language": language,
            "source": language if pairs == "query" else "*",
            "target": language if pairs == "target" else "*",
        }
        for edit in (edit for edit in edits_of(data.shown) if edit != "none"):
            line = change(data.shown, edit=edit, metric=metric, **where)
            parts += _at_places(data, line, language=language, edit=edit)
    return _joined(parts)


def against_centring(data: ReportData, edit: str) -> pd.DataFrame:
    """What an edit gains over centring, paired by sentence: columns as of `effects`.

    No rows where the results hold no such comparison.
    """
    parts = []
    for language in data.steered:
        line = series(data.shown, edit=edit, language=language, metric=AGAINST_CENTRING)
        parts += _at_places(data, line, language=language, edit=edit)
    return _joined(parts)


def _at_places(
    data: ReportData, line: pd.DataFrame, *, language: str, edit: str
) -> list[pd.DataFrame]:
    return [
        line[line["layer"] == layer].assign(language=language, place=place, edit=edit)
        for place, layer in data.places(language).items()
    ]


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    full = [part for part in parts if len(part)]
    table = pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=COLUMNS)
    return table[COLUMNS]
