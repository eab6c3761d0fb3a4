"""What a clamp holds experts at: statistics of any pooling that was recorded, and percentiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mechsteer.cli.edit_names import EDITS, named_edit
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts import (
    difference,
    load_scores,
    null_like,
    random_like,
    save_scores,
    score_recording,
    top_of_recording,
    union,
)
from mechsteer.experts.files import describe
from mechsteer.interventions import clamp, load_edit, rescored, save_edit, shift
from tests.made import SITE, made_recording

RECORDING = made_recording(poolings=("max", "mean", "last"))
SCORES = score_recording(RECORDING)


def of(index: Tensor, language: str, pooling: str, statistic: str) -> np.ndarray:
    """The statistic of some neurons, from the recorded activations themselves."""
    whole = torch.cat([RECORDING.activations(p, pooling=pooling) for p in SITE.points], dim=1)
    rows = whole[RECORDING.labels == RECORDING.languages.index(language)].numpy()[:, index]
    if statistic == "mean":
        return rows.mean(0)
    return np.percentile(rows, {"median": 50}.get(statistic) or float(statistic[1:]), axis=0)


@pytest.mark.parametrize("value", ["mean", "median", "p0", "p37.5", "p90", "p100"])
@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
@pytest.mark.parametrize("language", ["fra_Latn", "jpn_Jpan"])
def test_a_clamp_holds_each_neuron_at_its_own_statistic_of_any_recorded_pooling(
    value: str, pooling: str, language: str
) -> None:
    experts = SCORES.top(language, 9)
    edit = clamp(experts, RECORDING, value=value, pooling=pooling)
    assert torch.equal(edit.index, experts.index) and not edit.a.any()
    np.testing.assert_allclose(edit.b, of(experts.index, language, pooling, value), atol=2e-6)
    assert edit.provenance["pooling"] == pooling
    assert edit.provenance["statistic"] == value
    assert edit.provenance["scored_pooling"] == "max"


@pytest.mark.parametrize("value", ["mean", "median"])
@pytest.mark.parametrize("pooling", ["max", "mean", "last"])
def test_the_scores_alone_know_the_values_of_every_pooling(value: str, pooling: str) -> None:
    experts = SCORES.top("fra_Latn", 9)
    held = clamp(experts, value=value, pooling=pooling).b
    again = rescored(experts, RECORDING, pooling=pooling)
    close = {"rtol": 0, "atol": 1e-6}  # a recording scored in another order of summation
    torch.testing.assert_close(held, getattr(again, value), **close)
    assert torch.equal(getattr(again, value), clamp(again, value=value, pooling=pooling).b)
    found = top_of_recording(RECORDING, "fra_Latn", 9)
    torch.testing.assert_close(held, clamp(found, value=value, pooling=pooling).b, **close)


def test_the_pooling_of_the_values_is_not_that_of_the_scores() -> None:
    scores = score_recording(RECORDING, pooling="last")
    experts = scores.top("fra_Latn", 9)
    np.testing.assert_allclose(
        clamp(experts, pooling="max").b, of(experts.index, "fra_Latn", "max", "median"), atol=2e-6
    )
    np.testing.assert_allclose(
        shift(experts).b, of(experts.index, "fra_Latn", "mean", "mean"), atol=2e-6
    )


def test_values_follow_the_experts_through_selections() -> None:
    french, japanese = SCORES.top("fra_Latn", 6), SCORES.top("jpn_Jpan", 6)
    both = clamp(union(french, japanese), pooling="mean")
    first = clamp(french, pooling="mean")
    assert torch.equal(both.index[:6], first.index) and torch.equal(both.b[:6], first.b)
    new = difference(japanese, french)
    assert torch.equal(both.b[6:], clamp(new, pooling="mean").b)
    some = french.pick([4, 1])
    assert torch.equal(clamp(some, pooling="mean").b, first.b[[4, 1]])


def test_controls_are_held_at_values_of_the_same_pooling() -> None:
    experts = SCORES.top("fra_Latn", 6)
    own = random_like(SCORES, experts, seed=3)
    held = clamp(own, pooling="mean").b
    np.testing.assert_allclose(held, of(own.index, "fra_Latn", "mean", "median"), atol=2e-6)
    theirs = random_like(SCORES, experts, seed=3, values_of="experts")
    assert sorted(clamp(theirs, pooling="mean").b) == sorted(clamp(experts, pooling="mean").b)


def test_a_null_control_is_moved_as_far_under_every_pooling() -> None:
    experts = SCORES.top("fra_Latn", 2)
    null = null_like(SCORES, experts, seed=0, tolerance=0.5)
    row = SCORES.row("fra_Latn")
    for pooling in ("max", "mean"):
        rest = SCORES.rest_mean if pooling == "max" else SCORES.beside["mean"].rest_mean
        moved, displaced = (
            clamp(chosen, pooling=pooling).b - rest[row, chosen.index] for chosen in (experts, null)
        )
        torch.testing.assert_close(moved, displaced, rtol=0, atol=1e-6)


def test_the_values_are_in_the_files_of_scores_and_edits(tmp_path: Path) -> None:
    save_scores(SCORES, tmp_path / "scores.safetensors")
    scores = load_scores(tmp_path / "scores.safetensors", describe(SCORES))
    edit = clamp(scores.top("fra_Latn", 6), value="mean", pooling="mean")
    assert torch.equal(edit.b, clamp(SCORES.top("fra_Latn", 6), value="mean", pooling="mean").b)
    save_edit(edit, tmp_path / "french.edit")
    known = load_edit(tmp_path / "french.edit").provenance
    assert (known["statistic"], known["pooling"], known["scored_pooling"]) == (
        "mean",
        "mean",
        "max",
    )


def test_scores_of_one_pooling_say_what_to_record_for_another(tmp_path: Path) -> None:
    old = score_recording(made_recording(poolings=("max",)))
    assert list(old.beside) == []
    record = {key: value for key, value in describe(old).items() if key != "beside"}
    save_scores(old, tmp_path / "scores.safetensors")  # as every release before wrote them
    experts = load_scores(tmp_path / "scores.safetensors", record).top("fra_Latn", 6)
    assert torch.equal(clamp(experts, pooling="max").b, experts.median)
    with pytest.raises(MechsteerError, match="a new run with --also-pooling mean"):
        clamp(experts)
    with pytest.raises(MechsteerError, match=r"recorded with the scores \(max\).*also_pooling"):
        clamp(experts, pooling="mean")
    held = clamp(experts, RECORDING, pooling="mean")  # a recording beside has it
    np.testing.assert_allclose(held.b, of(experts.index, "fra_Latn", "mean", "median"), atol=2e-6)
    with pytest.raises(ArtifactError, match="'mean' was not recorded"):
        clamp(experts, made_recording(poolings=("max",)), value="p90", pooling="mean")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"value": "p101"}, "percentile"),
        ({"value": "mode"}, "percentile"),
        ({"value": "p90"}, "needs a recording"),
        ({"pooling": "min"}, "expected pooling max, mean, last, got 'min'"),
        ({"value": 2.5, "pooling": "mean"}, "not pooled"),
    ],
)
def test_what_means_nothing_is_refused_in_words(options: dict[str, object], said: str) -> None:
    with pytest.raises(MechsteerError, match=said):
        clamp(SCORES.top("fra_Latn", 6), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("clamp", {}),
        ("clamp:mean", {"value": "mean", "pooling": "mean"}),
        ("clamp", {"value": "median", "pooling": "mean"}),
        ("clamp:p90", {"value": "p90", "pooling": "mean"}),
        ("clamp:median:last", {"pooling": "last"}),
        ("clamp::mean", {"pooling": "mean"}),
        ("clamp:p12.5:mean", {"value": "p12.5", "pooling": "mean"}),
        ("clamp:-2.5", {"value": -2.5}),
    ],
)
def test_a_clamp_is_typed_with_its_value_and_pooling(
    typed: str, options: dict[str, object]
) -> None:
    experts = SCORES.top("fra_Latn", 6)
    edit = named_edit(typed).bound(lambda: RECORDING)(experts)
    made = clamp(experts, RECORDING, **options)  # type: ignore[arg-type]
    assert torch.equal(edit.b, made.b) and torch.equal(edit.index, made.index)
    assert edit.provenance == made.provenance


def test_other_edits_are_typed_by_name() -> None:
    experts = SCORES.top("fra_Latn", 6)
    for name in EDITS:
        assert named_edit(name).make(experts).name == name
    assert set(named_edit("damp:0.25").make(experts).a.tolist()) == {0.25}


@pytest.mark.parametrize(
    "typed",
    ["clmp", "zero:1", "damp:x", "clamp:mode", "clamp:mean:min", "clamp:2:mean", "clamp:a:b:c"],
)
def test_an_edit_that_does_not_exist_is_refused(typed: str) -> None:
    with pytest.raises(MechsteerError, match="expected"):
        named_edit(typed)
