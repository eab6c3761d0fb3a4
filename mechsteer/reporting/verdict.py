"""The answer first: what the edit did, compared with its controls, in a few computed sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from mechsteer.display import number
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.effects import against, effects
from mechsteer.reporting.words import isolated, joined, plural, signed
from mechsteer.studies.conditions import CENTRING, Arm, Kind
from mechsteer.studies.places import ordered, spoken
from mechsteer.studies.results import NO_EDIT, of_arm, series

FEW = 4  # languages; up to here a sentence names them all
if TYPE_CHECKING:
    Numbers = pd.Series[float]
else:
    Numbers = pd.Series  # which has no parameter at run time
Rows = TypeVar("Rows", pd.DataFrame, Numbers)
ALONE: dict[Kind, str] = {
    "dimensions": "Removing the few largest dimensions",
    "standardisation": "Bringing every dimension to one scale",
}
NOTABLE = 0.05  # distances have no interval: a change is spoken of from this share of them


def sentences(data: ReportData, table: pd.DataFrame) -> list[str]:
    """The edit itself, against random neurons, against baselines; and what distances do not show.

    Args:
        data: for the number of experts, the comparison with centring and the distances.
        table: what :func:`effects` returned.
    """
    edit = data.edits[0]
    arms = Arm("edit", edit), Arm("random", edit), CENTRING.arm
    own, drawn, centred = (_of(table, arm) for arm in arms)
    said = [
        _itself(data, edit, own),
        _against_random(data, edit, own, drawn),
        _against_centring(data, edit, own, centred),
        *(_alone(data, edit, own, kind, what) for kind, what in ALONE.items()),
        _distances(data, edit, own),
    ]
    return [sentence for sentence in said if sentence]


def _of(table: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    return table[of_arm(table, arm)].set_index(["place", "language"])


def _chosen(rows: Rows) -> Rows:
    return rows[rows.index.get_level_values("place") == "best_layer"]


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
    whose = isolated(data.steered[0]) if len(data.steered) == 1 else "one language"
    doing = _doing(data, edit, f"the {data.k_of(edit)} top experts of {whose}", whose=whose)
    first, name, rest = _at_places(did, "top-1 retrieval").partition("top-1 retrieval")
    outcome = f"{first}{name}{rest.replace(name, 'it')}" if name else first
    return f"{doing[0].upper()}{doing[1:]} {outcome}{_listed(_chosen(own))}."


def _against_random(data: ReportData, edit: str, own: pd.DataFrame, drawn: pd.DataFrame) -> str:
    if not data.k_of(edit):
        return ""  # without experts there is nothing to draw in their place
    doing = _doing(data, edit)
    if drawn.empty:
        return f"No random neurons were run, so nothing shows that {doing} matters."
    several = drawn["seeds"] > 1
    low = drawn["low"].where(several, drawn["value"]).reindex(own.index)
    high = drawn["high"].where(several, drawn["value"]).reindex(own.index)
    above, below = own["value"] > high, own["value"] < low
    lies = {"above": above, "below": below, "inside": ~(above | below)}
    return (
        f"As many random neurons in the same layers, {plural(int(drawn['seeds'].max()), 'seed')}, "
        f"changed it{_range(low, high)}; against their range, {doing} came out "
        f"{_at_places(lies)}."
    )


def _against_centring(data: ReportData, edit: str, own: pd.DataFrame, centred: pd.DataFrame) -> str:
    if centred.empty:
        return "No centring was run, so nothing shows what a plain shift of each language would do."
    doing, gained = _doing(data, edit), _of(against(data, edit), Arm("edit", edit))
    value = centred["value"].reindex(own.index)
    alone = (
        f"Subtracting each language's mean, which touches no neuron, changed it"
        f"{_range(value, value)}"
    )
    if gained.empty:
        did = {"more than {}": value > own["value"], "no more than {}": value <= own["value"]}
        return f"{alone}, {_at_places(did, doing)}."
    above, below = gained["low"] > 0, gained["high"] < 0
    same = (gained["low"] == 0) & (gained["high"] == 0)
    did = {
        "did better": above,
        "fell short of that": below,
        "did just as much": same,
        "could not be told from that": ~(above | below | same),
    }
    what = f"difference with {100 * data.confidence:g} % interval "
    listed = _listed(_chosen(gained), interval=True, what=what)
    return f"{alone}; {doing} {_at_places(did)}{listed}."


def _alone(data: ReportData, edit: str, own: pd.DataFrame, kind: Kind, what: str) -> str:
    """Where the edit surely raised retrieval, and a baseline without neurons does as much."""
    gained = _of(against(data, edit, kind), Arm("edit", edit))
    here = gained[(own["low"].reindex(gained.index) > 0) & (gained["low"] <= 0)]
    if here.empty:
        return ""
    places = here.index.get_level_values("place")
    shown = gained[gained.index.get_level_values("place").isin(places)]
    matched = pd.Series(shown.index.isin(here.index), index=shown.index)
    did = {
        "did more than {}": matched & (shown["high"] < 0),
        "could not be told from {}": matched & (shown["high"] >= 0),
        "did not do what {} did": ~matched,
    }
    first = here[places == places[0]]
    where = f"difference with {100 * data.confidence:g} % interval "
    listed = _listed(first, interval=True, what=where, at=spoken(places[0]))
    return f"{what} alone {_at_places(did, _doing(data, edit))}{listed}."


def _distances(data: ReportData, edit: str, own: pd.DataFrame) -> str:
    """Where translations came closer, and no measure that survives an offset surely rose."""
    moved = _of(effects(data, metric="distance_pairs"), Arm("edit", edit))
    if moved.empty:
        return ""
    base = series(data.shown, NO_EDIT, language="", metric="distance_pairs")
    share = (moved["value"] / moved["layer"].map(base.set_index("layer")["value"])).astype(float)
    share = share.reindex(own.index)
    mexa = _of(effects(data, metric="mexa"), Arm("edit", edit))["low"].reindex(own.index)
    bare = _chosen(share[(share < -NOTABLE) & (own["low"] <= 0) & (mexa <= 0)])
    if bare.empty:
        return ""
    ends = dict.fromkeys(f"{number(-100 * change, '.0f')} %" for change in (bare.max(), bare.min()))
    everyone = len(bare) == len(_chosen(share))
    whose = "all" if everyone else f"{len(bare)} of"
    of = f" for {whose} {len(data.steered)} languages" if len(data.steered) > 1 else ""
    return (
        f"The mean distance between translations shrank by {' to '.join(ends)}{of} at the "
        "best layer, and neither retrieval nor MEXA surely rose with it: any constant offset "
        "shrinks distances, so this shows no alignment."
    )


def _doing(data: ReportData, edit: str, what: str = "experts", *, whose: str = "") -> str:
    """What was done, to which experts, or for which language where an edit has none."""
    if not data.k_of(edit):
        return f"applying “{edit}”" + (f" for {whose}" if whose else "")
    return f"clamping {what}" if edit == "clamp" else f"applying “{edit}” to {what}"


def _at_places(did: dict[str, pd.Series[bool]], what: str = "") -> str:
    """Tallies at every place, in one phrase where they agree."""
    where: dict[str, list[str]] = {}
    for place in ordered(next(iter(did.values())).index.get_level_values("place")):
        where.setdefault(_tally(did, place, what), []).append(spoken(place))
    said = [f"{tally} at {joined(at)}" for tally, at in where.items()]
    return ", and ".join(said)


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


def _listed(
    rows: pd.DataFrame, *, what: str = "", interval: bool = False, at: str = "the best layer"
) -> str:
    """Every language's change, or the extremes of many; names isolated from the text around."""
    ordered = rows.droplevel("place")
    if len(ordered) > FEW:
        ordered = ordered.sort_values("value").iloc[[0, -1]]
    named = [
        f"{signed(value)} points{_between(low, high) if interval else ''} for {isolated(str(code))}"
        for code, value, low, high in ordered[["value", "low", "high"]].itertuples()
    ]
    if not named:
        return ""
    listed = ", ".join(named) if len(rows) <= FEW else f"from {named[0]} to {named[1]}"
    return f" ({what}at {at}: {listed})"


def _between(low: float, high: float) -> str:
    return f" [{signed(low)}, {signed(high)}]"


def _range(low: pd.Series[float], high: pd.Series[float]) -> str:
    """Smallest to largest change at the best layer, in words."""
    here = low.index.get_level_values("place") == "best_layer"
    if not here.any():
        return ""
    ends = (signed(low[here].min()), signed(high[here].max()))
    span = " to ".join(dict.fromkeys(ends))
    return f" by {span} points at the best layer"
