"""The answer first: what the edit did, compared with its controls, in three computed sentences."""

from __future__ import annotations

import pandas as pd

from mechsteer.reporting.data import HEADLINE, ReportData
from mechsteer.studies.results import change, edits_of

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
    parts = []
    for language in data.steered:
        where = {
            "language": language,
            "source": language if pairs == "query" else "*",
            "target": language if pairs == "target" else "*",
        }
        for edit in (edit for edit in edits_of(data.shown) if edit != "none"):
            line = change(data.shown, edit=edit, metric=metric, **where)
            for place, layer in data.places(language).items():
                here = line[line["layer"] == layer]
                parts.append(here.assign(language=language, place=place, edit=edit))
    full = [part for part in parts if len(part)]
    table = pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=COLUMNS)
    return table[COLUMNS]


def sentences(data: ReportData, table: pd.DataFrame) -> list[str]:
    """Three sentences: the edit itself, against random neurons, against centring.

    Args:
        data: for the number of experts and the level of the intervals.
        table: what :func:`effects` returned.
    """
    edit = data.edits[0]
    own, drawn, centred = (
        table[table["edit"] == name].set_index(["place", "language"])
        for name in (edit, data.control_of(edit), "centring")
    )
    return [
        _itself(data, edit, own),
        _against_random(edit, own, drawn),
        _against_centring(edit, own, centred),
    ]


def _itself(data: ReportData, edit: str, own: pd.DataFrame) -> str:
    up, down = own["low"] > 0, own["high"] < 0
    same = (own["low"] == 0) & (own["high"] == 0)  # nothing moved: experts sit in later layers
    unclear = ~(up | down | same)
    did = {
        "raised {}": up,
        "lowered {}": down,
        "did not change {}": same,
        "left {} undecided": unclear,
    }
    chosen = own[own.index.get_level_values("place") == "chosen"]
    whose = isolated(data.steered[0]) if len(data.steered) == 1 else "one language"
    moved = f"the {data.k_of(edit)} top experts of {whose}"
    first, name, rest = _at_both(did, "top-1 retrieval").partition("top-1 retrieval")
    outcome = f"{first}{name}{rest.replace(name, 'it')}" if name else first
    return f"{_doing(edit).capitalize()} {moved} {outcome}{_listed(chosen)}."


def _against_random(edit: str, own: pd.DataFrame, drawn: pd.DataFrame) -> str:
    if drawn.empty:
        return f"No random neurons were run, so nothing shows that {_doing(edit)} experts matters."
    several = drawn["seeds"] > 1
    low = drawn["low"].where(several, drawn["value"]).reindex(own.index)
    high = drawn["high"].where(several, drawn["value"]).reindex(own.index)
    above, below = own["value"] > high, own["value"] < low
    lies = {"above": above, "below": below, "inside": ~(above | below)}
    return (
        f"As many random neurons in the same layers, {_plural(int(drawn['seeds'].max()), 'seed')}, "
        f"changed it{_range(low, high)}; against their range, {_doing(edit)} experts came out "
        f"{_at_both(lies)}."
    )


def _against_centring(edit: str, own: pd.DataFrame, centred: pd.DataFrame) -> str:
    if centred.empty:
        return "No centring was run, so nothing shows what a plain shift of each language would do."
    value = centred["value"].reindex(own.index)
    did = {"more than {}": value > own["value"], "no more than {}": value <= own["value"]}
    return (
        f"Subtracting each language's mean, which touches no neuron, changed it"
        f"{_range(value, value)}, {_at_both(did, f'{_doing(edit)} experts')}."
    )


def _doing(edit: str) -> str:
    return "clamping" if edit == "clamp" else f"applying “{edit}” to"


def _at_both(did: dict[str, pd.Series[bool]], what: str = "") -> str:
    """Tallies at the two layers, in one phrase where they agree."""
    chosen, last = _tally(did, "chosen", what), _tally(did, "last", what)
    if chosen == last:
        return f"{chosen} at the chosen and the last layer"
    return f"{chosen} at the layer chosen on dev, and {last} at the last layer"


def _tally(did: dict[str, pd.Series[bool]], place: str, what: str = "") -> str:
    """For how many languages each holds, leaving out what holds for none."""
    counts = {}
    for outcome, flags in did.items():
        here = flags[flags.index.get_level_values("place") == place]
        counts[outcome.format(what)] = int(here.sum())
        total = len(here)
    if total == 1:
        return next(outcome for outcome, count in counts.items() if count)
    parts = [
        f"{outcome} for {'all ' if count == total else ''}{count}"
        for outcome, count in counts.items()
        if count
    ]
    if not parts:
        return "was not measured"
    of = "" if len(parts) == 1 else f" of {total}"
    return f"{' and '.join(parts)}{of} languages"


def _listed(rows: pd.DataFrame) -> str:
    """Every language's change, or the extremes of many; names isolated from the text around."""
    ordered = rows["value"].droplevel("place")
    if len(ordered) > FEW:
        ordered = ordered.sort_values().iloc[[0, -1]]
    named = [f"{signed(value)} points for {isolated(str(code))}" for code, value in ordered.items()]
    if not named:
        return ""
    listed = ", ".join(named) if len(rows) <= FEW else f"from {named[0]} to {named[1]}"
    return f" (at the layer chosen on dev: {listed})"


def _range(low: pd.Series[float], high: pd.Series[float]) -> str:
    """Smallest to largest change at the chosen layer, in words."""
    here = low.index.get_level_values("place") == "chosen"
    if not here.any():
        return ""
    ends = (signed(low[here].min()), signed(high[here].max()))
    span = " to ".join(dict.fromkeys(ends))
    return f" by {span} points at the layer chosen on dev"


def isolated(name: str) -> str:
    """A name that keeps its direction of writing to itself (Unicode isolates)."""
    return f"\u2068{name}\u2069"


def signed(share: float) -> str:
    """A difference of shares in percentage points.

    >>> signed(-0.0123), signed(0.2), signed(-0.0001)
    ('−1.2', '+20.0', '0.0')
    """
    text = f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if text[1:] == "0.0" else text


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
