"""The one line that a person remembers: what the edit did and what a control did."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mechsteer.display import number
from mechsteer.studies.conditions import CENTRING, Arm
from mechsteer.studies.places import ordered, spoken
from mechsteer.studies.results import of_arm

NOT = "did not align"


def headline(edits: Sequence[str], table: pd.DataFrame) -> str:
    """What the first edit did to top-1 retrieval at the first place measured, beside a control.

    A gain or a loss is one whose interval leaves out zero. An edit gained or lost if it did so for
    every language, or it says for how many; it "did not align" where it surely gained for none.

    Args:
        edits: that were run, by name; the first is spoken of.
        table: what ``mechsteer.reporting.effects.effects`` returned.
    """
    rows = at_first(table)
    centred = outcome(rows[of_arm(rows, CENTRING.arm)])
    if not edits:
        return "No edit was run" + (f"; centring {centred}" if centred else "")
    edit = edits[0]
    own = rows[of_arm(rows, Arm("edit", edit))]
    drawn = rows[of_arm(rows, Arm("random", edit))]
    did = outcome(own)
    if not did:
        return f"{named(edit)} was not measured"
    luck = _as_random(own, drawn)
    first = f"{named(edit)} {did}{luck}"
    if centred:
        return f"{first}; {_beside(did, 'centring', centred)}"
    if drawn.empty:
        return f"{first}; no control was run"
    return first if luck else f"{first}; {_beside(did, 'random neurons', outcome(drawn))}"


def measure(confidence: float, table: pd.DataFrame) -> str:
    """What the points of the headline are, in one sentence."""
    where = ordered(table["place"])
    at = f" at {spoken(where[0])}" if where else ""
    return (
        f"Top-1 retrieval{at}, mean over all ordered pairs, against no edit. "
        f"A gain or loss is one whose {confidence:.0%} interval leaves out zero; "
        "“did not align” is no sure gain."
    )


def at_first(table: pd.DataFrame) -> pd.DataFrame:
    """Rows at the best layer, or else at the first place there is."""
    where = ordered(table["place"])
    return table[table["place"] == where[0]] if where else table


def outcome(rows: pd.DataFrame) -> str:
    """What happened to all languages together, in a few words; nothing where there are no rows.

    >>> outcome(pd.DataFrame({"value": [0.089], "low": [0.06], "high": [0.11]}))
    'gained 8.9 points'
    >>> outcome(pd.DataFrame({"value": [0.0, -0.1], "low": [-0.1, -0.2], "high": [0.1, -0.01]}))
    'did not align'
    """
    rows = rows.dropna(subset=["value"])
    if rows.empty:
        return ""
    known = rows.dropna(subset=["low", "high"])
    if known.empty:
        return f"moved {points(rows['value'], sign=True)}, without an interval"
    up, down = int((known["low"] > 0).sum()), int((known["high"] < 0).sum())
    for verb, count in (("gained", up), ("lost", down)):
        if count == len(known):
            return f"{verb} {points(known['value'])}"
    some = f"gained for {up}" + (f" and lost for {down}" if down else "")
    unmoved = ((known["low"] == 0) & (known["high"] == 0)).all()
    return f"{some} of {len(known)} languages" if up else "changed nothing" if unmoved else NOT


def _beside(did: str, control: str, its: str) -> str:
    return f"neither did {control}" if did == its == NOT else f"{control} {its}"


def _as_random(own: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """Said of a gain that random neurons gave as well for some language."""
    if drawn.empty or not (own["low"] > 0).any():
        return ""
    gained = own[own["low"] > 0].set_index("language")["value"]
    best = drawn.set_index("language")
    most = best["high"].where(best["seeds"] > 1, best["value"]).reindex(gained.index)
    alike = int((gained <= most).sum())
    if not alike:
        return ""
    return ", no more than random neurons" + ("" if alike == len(gained) else f" for {alike}")


def named(edit: str) -> str:
    """What an edit is called at the beginning of a sentence."""
    return "Clamping" if edit == "clamp" else f"“{edit}”"


def points(shares: pd.Series[float], *, sign: bool = False) -> str:
    """Smallest to largest, in percentage points."""
    sizes = [100 * (share if sign else abs(share)) for share in shares]
    ends = dict.fromkeys(_one(size, sign=sign) for size in (min(sizes), max(sizes)))
    return f"{' to '.join(ends)} point{'' if [*ends] == ['1.0'] else 's'}"


def _one(size: float, *, sign: bool) -> str:
    """One decimal, or as many as show that it is not nothing."""
    text = number(size, "+.1f" if sign else ".1f")
    if float(text) == 0 and size:
        text = f"{size:{'+' if sign else ''}.2g}"
    return text.replace("-", "\N{MINUS SIGN}")
