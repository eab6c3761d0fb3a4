"""Which languages profit, in sentences: what holds after correction, and how far that goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mechsteer.crosslingual import Similarity
from mechsteer.crosslingual.similarities.found import LEVEL
from mechsteer.plots.pairs import measured, response_of
from mechsteer.reporting.words import isolated, joined, plural
from mechsteer.studies.conditions import BASELINES
from mechsteer.studies.places import spoken

HEAD = "retrieval_top1"
FEW = 3  # distances that one sentence names
ON_RANDOM = " on random neurons"


def edited(found: Similarity) -> list[str]:
    """States that an edit made, in order: no base, no control, nothing given."""
    fixed = {"none", "given", *(known.kind for known in BASELINES)}
    states = dict.fromkeys(found.effects["state"].astype(str))
    return [state for state in states if state not in fixed and ON_RANDOM not in state]


def random_of(found: Similarity, state: str) -> str | None:
    """The state of random neurons beside an edit's, where there is one.

    The edit's name stands before it, the steered language behind it.
    """
    states = set(found.effects["state"])
    name, _, language = state.rpartition(" ")
    named = (f"{name}{ON_RANDOM} {language}", f"{state}{ON_RANDOM}")
    return next((candidate for candidate in named if candidate in states), None)


def has(found: Similarity, state: str, metric: str) -> bool:
    """Whether there is such a response."""
    rows = found.effects
    return bool(((rows["state"] == state) & (rows["metric"] == metric)).any())


def sentences(found: Similarity) -> list[str]:
    """The base, the gain under the edits, the control beside them, and what all that is worth."""
    gain = f"{HEAD}.delta"
    states = [state for state in edited(found) if has(found, state, gain)]
    said = [_base(found)]
    said += [explained(found, state, gain) for state in states[:1]]
    said += [_others(found, states, gain)] if len(states) > 1 else []
    said += [_control(found, states[0], gain)] if states else []
    said.append(_reservation(found))
    return [sentence for sentence in said if sentence]


def explained(found: Similarity, state: str, metric: str) -> str:
    """What explains one response: the distances that hold after Holm, or that none does."""
    rows = response_of(found.effects, state, metric).sort_values("share", ascending=False)
    what = _what(state, metric, rows)
    sure = rows[rows["p_holm"] <= LEVEL]
    first = rows.iloc[0]
    if sure.empty:
        return (
            f"No distance explains {what} (largest share of the variance over pairs: "
            f"{isolated(str(first['predictor']))}, {_share(first)}, p\xa0=\xa0"
            f"{first['p_holm']:.2g} after Holm over {plural(len(rows), 'distance')}). "
            f"{_unseen(first)}"
        )
    named = [
        f"{isolated(str(row['predictor']))} distance ({_share(row)}, p\xa0=\xa0{row['p_holm']:.2g})"
        for _, row in sure.head(FEW).iterrows()
    ]
    more = f" and {len(sure) - FEW} more" if len(sure) > FEW else ""
    return (
        f"{what[0].upper()}{what[1:]} follows {joined(named)}{more}: shares of the variance over "
        f"pairs with 95% intervals, p after Holm over {plural(len(rows), 'distance')}. "
        f"{_unseen(first)}"
    )


def _base(found: Similarity) -> str:
    if not has(found, "none", HEAD):
        return ""
    return explained(found, "none", HEAD)


def _what(state: str, metric: str, rows: pd.DataFrame) -> str:
    place = str(rows["place"].iloc[0])
    layer = int(rows["layer"].iloc[0])
    at = f" at {spoken(place)}" if place else f" at layer {layer}" if layer >= 0 else ""
    if state == "none":
        return f"{measured(metric)} without an edit{at}"
    return f"the gain in {measured(metric.removesuffix('.delta'))} under {isolated(state)}{at}"


def _share(row: pd.Series[Any]) -> str:
    return f"{row['share']:.0%} ({max(row['low'], 0):.0%} to {row['high']:.0%})"


def _unseen(row: pd.Series[Any]) -> str:
    """How much all distances together explain, here and between languages not seen."""
    elsewhere = (
        f"{row['r2_unseen']:.0%}" if row["r2_unseen"] > 0 else "nothing (less than their mean does)"
    )
    return (
        f"All together explain {row['r2']:.0%} of the variance, and between languages that the "
        f"fit has not seen {elsewhere}."
    )


def _others(found: Similarity, states: Sequence[str], metric: str) -> str:
    """Of how many edited states something holds, and what."""
    best = []
    for state in states:
        rows = response_of(found.effects, state, metric).sort_values("share", ascending=False)
        best += [str(rows.iloc[0]["predictor"])] if (rows["p_holm"] <= LEVEL).any() else []
    if not best:
        return f"Of none of the {len(states)} edited states does any distance hold after Holm."
    counts = pd.Series(best).value_counts()
    named = joined([f"{isolated(str(name))} in {count}" for name, count in counts.items()])
    return (
        f"Of {plural(len(states), 'edited state')}, a distance holds in {len(best)}; the largest "
        f"share is that of {named}."
    )


def _control(found: Similarity, state: str, metric: str) -> str:
    """Whether the gain under random neurons follows the same distances."""
    drawn = random_of(found, state)
    if drawn is None or not has(found, drawn, metric):
        return ""
    own, other = (
        set(rows.loc[rows["p_holm"] <= LEVEL, "predictor"])
        for rows in (response_of(found.effects, one, metric) for one in (state, drawn))
    )
    if not own:
        return ""
    both = sorted(own & other)
    if both:
        return (
            f"Random neurons of the same layers do likewise for {joined(both)}: that much is not "
            "about experts."
        )
    return "Random neurons of the same layers: nothing of this holds there."


def _reservation(found: Similarity) -> str:
    answers = found.answers()
    count, agree = len(answers), int(answers["agree"].sum())
    return (
        f"In {agree} of {count} answers (measures, layers, states) four definitions of “explains "
        "most” name the same distance. p-values are corrected over the distances of one answer, "
        "not over answers; pairs share languages and languages share families and places, so that "
        "all of this is association."
    )
