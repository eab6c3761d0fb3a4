"""How much is enough: every k and strength on dev, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.statistics import bootstrap_mean
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import MechsteerError
from mechsteer.progress import progress
from mechsteer.studies.bench import BASE, Album, Bench
from mechsteer.studies.states import Measures, State


def try_doses(album: Album, options: Sequence[State]) -> None:
    """Measure every dose on dev; nothing of an edit that has but one."""
    doses: dict[str, set[tuple[int, float]]] = {}
    for state in options:
        doses.setdefault(state.edit, set()).add((state.k, state.strength))
    several = [state for state in options if len(doses[state.edit]) > 1]
    for state in progress(several, "choosing the dose on dev", "state"):
        album.add(state)


def choose(doses: Mapping[State, Measures], options: Sequence[State], layer: int) -> list[State]:
    """The states of each edit at the dose with the best retrieval on dev, mean over its languages.

    Equal doses: the smaller k, then the smaller strength.
    """
    found: dict[tuple[str, int, float], int] = {}
    for state in options:
        dose = (state.edit, state.k, state.strength)
        hits = int(doses[state].top1[layer].sum()) if state in doses else 0
        found[dose] = found.get(dose, 0) + hits
    ranked = sorted(found, key=lambda dose: (-found[dose], dose[1], dose[2]))
    best = {edit: (k, strength) for edit, k, strength in reversed(ranked)}
    return [state for state in options if (state.k, state.strength) == best[state.edit]]


def cost_table(
    tried: Bench,
    options: Sequence[State],
    text: LabelledCorpus,
    layer: int,
    *,
    targets: Sequence[str],
) -> pd.DataFrame:
    """Bits per byte of the text in each steered language, without an edit and under every dose.

    Columns as in `dose_table`, without intervals; n counts the texts. The base has a row a
    language, and so has an edit that is the same for all.

    Raises:
        MechsteerError: the text lacks a steered language.
    """
    if missing := [code for code in targets if code not in text.languages]:
        raise MechsteerError(f"the text lacks {', '.join(missing)}, which the study steers to")
    states = [
        (state, code)
        for state in (BASE, *options)
        for code in ([state.language] if state.language else targets)
    ]
    rows = []
    for state, language in progress(states, "predicting text", "state"):
        texts = text.sentences[language]
        value = tried.bits_per_byte(state, language, texts)
        named = {"edit": state.edit, "language": language, "k": state.k}
        named |= {"strength": state.strength, "layer": layer, "metric": "bits_per_byte"}
        ends = {"value": value, "ci_low": float("nan"), "ci_high": float("nan"), "n": len(texts)}
        rows.append(named | ends)
    return pd.DataFrame(rows)


def mean_top1(measures: Measures) -> Float[Tensor, " layer"]:
    """Mean over all ordered pairs and sentences; pairs of a language with itself never hit."""
    n_languages = measures.top1.shape[1]
    return measures.top1.double().mean((1, 2, 3)) * n_languages / (n_languages - 1)


def dose_table(
    measured: Mapping[State, Measures], layers: Collection[int], *, seed: int = 0
) -> pd.DataFrame:
    """What each k and strength gives at some layers: means over all ordered pairs, with intervals.

    Columns edit, language, k, strength, layer, metric, value, ci_low, ci_high, n: one row a
    state, layer and metric. Intervals are 95 % percentile bootstraps over sentence ids.
    """
    rows = []
    for state, measures in measured.items():
        named = {name: getattr(state, name) for name in ("edit", "language", "k", "strength")}
        shown = {"retrieval_top1": measures.top1, "mexa": measures.mexa}
        for layer, (metric, hits) in product(sorted(layers), shown.items()):
            different = ~torch.eye(hits.shape[1], dtype=torch.bool)
            found = bootstrap_mean(hits[layer][different].T, seed=seed)
            ends = {"value": found.mean, "ci_low": found.mean_low, "ci_high": found.mean_high}
            rows.append(named | {"layer": layer, "metric": metric} | ends | {"n": hits.shape[-1]})
    return pd.DataFrame(rows)
