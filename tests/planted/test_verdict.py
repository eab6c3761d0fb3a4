"""The report's verdict on studies whose truth was planted: from embeddings to the sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import pandas as pd
import pytest
import torch

from mechsteer.analysis import (
    bootstrap_difference,
    centre,
    language_means,
    largest_dimensions,
    standardisation,
    without_dimensions,
)
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.effects import against, effects
from mechsteer.reporting.settled import EXPERT_COLUMNS, checked
from mechsteer.reporting.verdict import sentences
from mechsteer.studies.conditions import BASE, CENTRING, DIMENSIONS, STANDARDISATION, Condition
from mechsteer.studies.measurements import Measurements, measure
from mechsteer.studies.tables import tabulate
from tests.planted.made import LANGUAGES, Space, space, with_massive

N, N_LAYERS, CHOSEN = 120, 2, 1
STEERED = "fra_Latn"
CENTRED = {"centred": 1.0}
NEAR = tuple({"noise": 0.9 + step} for step in (-0.02, 0.0, 0.02))


def layers(half: int, **knobs: float) -> Space:
    """Float32 ``[layer, sentence, d]`` of each language: half 0 is dev, half 1 is test."""
    size = knobs.pop("massive", 0.0)
    rows = [space(seed, n=2 * N, **knobs) for seed in range(N_LAYERS + 2)]
    rows = [with_massive(x, size=size) for x in rows] if size else rows
    part = slice(half * N, (half + 1) * N)
    return {code: torch.stack([x[code][part] for x in rows]).float() for code in LANGUAGES}


@cache
def measured(knobs: tuple[tuple[str, float], ...]) -> Measurements:
    """One state: the space with these knobs, or centred with means of its dev half."""
    options = dict(knobs)
    done = options.pop("centred", 0.0), options.pop("removed", 0.0), options.pop("scaled", 0.0)
    dev, test = (layers(half, **options) for half in (0, 1))
    centred, removed, scaled = done
    test = centre(test, language_means(dev)) if centred else test
    test = without_dimensions(test, largest_dimensions(dev), int(removed)) if removed else test
    return measure(standardisation(dev)(test) if scaled else test)


def state(**knobs: float) -> Measurements:
    return measured(tuple(sorted(knobs.items())))


def report(
    base: Mapping[str, float],
    edit: Mapping[str, float],
    drawn: tuple[Mapping[str, float], ...],
    baselines: Mapping[Condition, Mapping[str, float]] | None = None,
) -> ReportData:
    states = {
        BASE: state(**base),
        Condition("edit", "clamp", STEERED, 10, 1.0): state(**edit),
        CENTRING: state(**base, **CENTRED),
    }
    states |= {
        Condition("random", "clamp", STEERED, 10, 1.0, seed): state(**knobs)
        for seed, knobs in enumerate(drawn)
    }
    states |= {kind: state(**base, **knobs) for kind, knobs in (baselines or {}).items()}
    results = tabulate(states, LANGUAGES, targets=[STEERED], pairs_at={CHOSEN})
    return checked(
        ReportData(
            manifest={},
            results=results,
            experts=pd.DataFrame(columns=list(EXPERT_COLUMNS)),
            counts=pd.DataFrame(columns=["language", "layer", "count"]),
            chosen_layer={STEERED: CHOSEN},
            n_layers=N_LAYERS,
            final_norm=N_LAYERS + 1,
            n_sentences=N,
            command="",
        )
    )


def verdict(data: ReportData) -> list[str]:
    isolates = {0x2068: None, 0x2069: None}
    return [sentence.translate(isolates) for sentence in sentences(data, effects(data))]


APART = {"own": 2.0}  # languages far from each other, where centring does much
APART_DRAWN = tuple({"own": 2.0 + step} for step in (-0.02, 0.0, 0.02))
CASES = {
    # name: base, edit, random; what the edit did, against random, against centring, distances only
    "common offset": ({}, {"common": 3.0}, NEAR, "lowered", "below", "fell short of that", True),
    "true alignment": ({}, {"noise": 0.5}, NEAR, "raised", "above", "did better", False),
    "harm": ({}, {"noise": 1.6}, NEAR, "lowered", "below", "fell short of that", False),
    "nothing": ({}, {}, NEAR, "did not change", "inside", "fell short of that", False),
    "any neurons": (
        *({}, {"noise": 0.7}, tuple({"noise": 0.7 + step} for step in (-0.04, 0.04))),
        *("raised", "inside", "did better", False),
    ),
    "less than centring": (
        *(APART, {"own": 1.5}, APART_DRAWN),
        *("raised", "above", "fell short of that", False),
    ),
    "centring itself": (
        *(APART, APART | CENTRED, APART_DRAWN),
        *("raised", "above", "did just as much", False),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict_says_what_was_planted(case: str) -> None:
    base, edit, drawn, did, lies, compared, bare = CASES[case]
    first, second, third, *rest = verdict(report(base, edit, drawn))
    both = "at the best layer, the last block and the final norm"
    assert f"Clamping the 10 top experts of fra_Latn {did} top-1 retrieval {both}" in first
    assert f"clamping experts came out {lies} {both}" in second
    assert f"clamping experts {compared} {both}" in third
    assert bool(rest) == bare
    if bare:
        assert "shrank" in rest[0]
        assert "shows no alignment" in rest[0]


MASSIVE = {"massive": 40.0}
WITHOUT = {DIMENSIONS: {"removed": 3.0}, STANDARDISATION: {"scaled": 1.0}}


def test_what_a_baseline_without_neurons_does_alone_is_said_with_its_interval() -> None:
    drawn = tuple({"massive": 40.0 + step} for step in (-0.2, 0.0, 0.2))
    data = report(MASSIVE, {"massive": 12.0}, drawn, WITHOUT)
    first, *_, removed, scaled = (s for s in verdict(data) if "shrank" not in s)
    everywhere = "at the best layer, the last block and the final norm"
    assert f"raised top-1 retrieval {everywhere}" in first
    found = against(data, "clamp", "dimensions").set_index("place").loc["best_layer"]
    numbers = [f"{abs(100 * found[name]):.1f}" for name in ("value", "low", "high")]
    assert f"dimensions alone did more than clamping experts {everywhere}" in removed
    assert re.findall(r"\d+\.\d", removed) == numbers
    assert f"to one scale alone did more than clamping experts {everywhere}" in scaled


def test_nothing_is_said_of_baselines_where_the_edit_does_more_or_nothing() -> None:
    drawn = tuple({"massive": 40.0 + step} for step in (-0.2, 0.0, 0.2))
    for edit in ({"massive": 0.0, "noise": 0.3}, MASSIVE):
        said = verdict(report(MASSIVE, edit, drawn, WITHOUT))
        assert not any(" alone " in sentence for sentence in said)


def test_alignment_shrinks_distances_too_and_is_not_called_an_offset() -> None:
    base, edit, drawn, *_ = CASES["true alignment"]
    data = report(base, edit, drawn)
    distance = effects(data, metric="distance_pairs").set_index(["kind", "place"])["value"]
    assert distance["edit", "best_layer"] < -0.1
    assert len(verdict(data)) == 3


def test_the_difference_to_centring_is_a_paired_bootstrap_by_sentence() -> None:
    base, edit, drawn, *_ = CASES["less than centring"]
    data = report(base, edit, drawn)
    found = against(data, "clamp").set_index("place")
    different = ~torch.eye(len(LANGUAGES), dtype=torch.bool)

    def hits(measures: Measurements) -> torch.Tensor:
        return measures.top1[CHOSEN][different].double().mean(0)[:, None]  # [sentence, 1]

    expected = bootstrap_difference(hits(state(**edit)), hits(state(**base, **CENTRED)))
    row = found.loc["best_layer"]
    # means of few pairs are taken in float32
    for name in ("value", "low", "high"):
        assert row[name] == pytest.approx(getattr(expected, name).item(), abs=1e-6)
    numbers = [f"{abs(100 * row[name]):.1f}" for name in ("value", "low", "high")]
    shown = re.search(
        r"difference with 95 % interval at the best layer: (.*) for fra_Latn",
        verdict(data)[2],
    )
    assert shown
    assert re.findall(r"\d+\.\d", shown[1]) == numbers
