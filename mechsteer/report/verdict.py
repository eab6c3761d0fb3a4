"""The answer first: what the edit did, compared with its controls, in three computed sentences."""

from __future__ import annotations

import pandas as pd

from mechsteer.report.data import ReportData
from mechsteer.results import change, edits_of

HEADLINE = "retrieval_top1"
FEW = 4  # languages; up to here a sentence names them all
COLUMNS = ["language", "place", "layer", "edit", "value", "low", "high", "seeds"]


def effects(data: ReportData, *, metric: str = HEADLINE, pairs: str = "all") -> pd.DataFrame:
    """Change of a metric against no edit, for each steered language, at two layers.

    Args:
        data: what was measured; rows at the k and strength shown.
        metric: a metric of the results.
        pairs: ``all`` ordered pairs, or those with the steered language as ``query`` or ``target``.

    Returns:
        Columns language, place (chosen | last), layer, edit, value, low, high, seeds.
    """
    results = data.shown
    parts = [pd.DataFrame([], columns=COLUMNS)]
    for language in data.steered:
        source = language if pairs == "query" else "*"
        target = language if pairs == "target" else "*"
        for edit in edits_of(results):
            if edit == "none":
                continue
            line = change(
                results, edit=edit, language=language, metric=metric, source=source, target=target
            )
            for place, layer in data.places(language).items():
                here = line[line["layer"] == layer]
                parts.append(here.assign(language=language, place=place, edit=edit))
    return pd.concat([part for part in parts if len(part)] or parts)[COLUMNS].reset_index(drop=True)


def sentences(data: ReportData, table: pd.DataFrame) -> list[str]:
    """Three sentences: the edit itself, against random neurons, against centring.

    Args:
        data: for the number of experts and the level of the intervals.
        table: what :func:`effects` returned.
    """
    if not data.edits:
        return ["No edit was run, so there is nothing to compare."]
    edit = data.edits[0]
    own, drawn, centred = (
        table[table["edit"] == name].set_index(["place", "language"])
        for name in (edit, "random", "centring")
    )
    return [
        _itself(data, edit, own),
        _against_random(data, edit, own, drawn),
        _against_centring(edit, own, centred),
    ]


def _itself(data: ReportData, edit: str, own: pd.DataFrame) -> str:
    up, down = own["low"] > 0, own["high"] < 0
    rows = own[own.index.get_level_values("place") == "chosen"]
    n = _count(up | True, "chosen")
    who = f"the {data.k} top experts of one language" if data.k else "one language"
    return (
        f"{_doing(edit).capitalize()} {who} raised top-1 retrieval, averaged over all language "
        f"pairs at the layer chosen on dev, for {_count(up, 'chosen')} of {n} steered languages, "
        f"lowered it for {_count(down, 'chosen')} and left it undecided at {data.confidence:.0%} "
        f"confidence for {_count(~(up | down), 'chosen')} ({_listed(rows)}); at the last layer it "
        f"raised it for {_count(up, 'last')}, lowered it for {_count(down, 'last')} and left it "
        f"undecided for {_count(~(up | down), 'last')}."
    )


def _against_random(data: ReportData, edit: str, own: pd.DataFrame, drawn: pd.DataFrame) -> str:
    if drawn.empty:
        return f"No random neurons were run, so nothing shows that {_doing(edit)} experts matters."
    low = drawn["low"].where(drawn["seeds"] > 1, drawn["value"])
    high = drawn["high"].where(drawn["seeds"] > 1, drawn["value"])
    above, below = own["value"] > high.reindex(own.index), own["value"] < low.reindex(own.index)
    inside = ~(above | below)
    there = _range(low.xs("chosen").min(), high.xs("chosen").max())
    return (
        f"As many random neurons in the same layers ({_plural(int(drawn['seeds'].max()), 'seed')}) "
        f"changed it by {there} points: {_doing(edit)} experts lies above their range for "
        f"{_count(above, 'chosen')}, below it for {_count(below, 'chosen')} and inside it for "
        f"{_count(inside, 'chosen')} (at the last layer for {_count(above, 'last')}, "
        f"{_count(below, 'last')} and {_count(inside, 'last')})."
    )


def _against_centring(edit: str, own: pd.DataFrame, centred: pd.DataFrame) -> str:
    if centred.empty:
        return "No centring was run, so nothing shows what a plain shift of each language would do."
    more = centred["value"].reindex(own.index) > own["value"]
    there = centred["value"].xs("chosen")
    return (
        f"Subtracting each language's mean, which touches no neuron, changed it by "
        f"{_range(there.min(), there.max())} points: more than {_doing(edit)} experts for "
        f"{_count(more, 'chosen')} of {_count(more | True, 'chosen')} languages (at the last layer "
        f"for {_count(more, 'last')})."
    )


def _doing(edit: str) -> str:
    return "clamping" if edit == "clamp" else f"applying “{edit}” to"


def _count(flags: pd.Series[bool], place: str) -> int:
    return int(flags[flags.index.get_level_values("place") == place].sum())


def _listed(rows: pd.DataFrame) -> str:
    """Every language's change, or the extremes of many; names isolated from the text around."""
    ordered = rows["value"].droplevel("place")
    if len(ordered) > FEW:
        ordered = ordered.sort_values().iloc[[0, -1]]
    named = [f"{signed(value)} for \u2068{code}\u2069" for code, value in ordered.items()]
    joined = ", ".join(named) if len(rows) <= FEW else f"from {named[0]} to {named[-1]}"
    return f"in points: {joined}" if named else "no values"


def _range(low: float, high: float) -> str:
    ends = (signed(low), signed(high))
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def signed(share: float) -> str:
    """A difference of shares in percentage points.

    >>> signed(-0.0123), signed(0.2), signed(-0.0001)
    ('−1.2', '+20.0', '0.0')
    """
    text = f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if text[1:] == "0.0" else text


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
