"""Every constructor of a neuron edit against its published formula, said again in numpy."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.interventions import NeuronEdit, gaussian_transport, linear_transport
from tests.made import LANGUAGES, SITE, columns, made_recording, made_scores


def near(found: torch.Tensor, expected: np.ndarray) -> None:
    """Coefficients of order 1 that were rounded to float32 once: relative 6e-8."""
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=1e-6, atol=1e-7)


@pytest.fixture(params=range(3))
def experts(request: pytest.FixtureRequest) -> ms.Experts:
    return made_scores(request.param).top(LANGUAGES[request.param], 19)


@pytest.mark.parametrize("percent", [0, 10, 37.5, 50, 90, 100])
def test_a_percentile_is_numpys_of_the_positives(experts: ms.Experts, percent: float) -> None:
    recording = made_recording()
    edit = ms.clamp(experts, recording, value=f"p{percent}", pooling="max")
    values = columns(recording, experts, experts.language, "max")
    near(edit.b, np.percentile(values, percent, axis=0))
    assert not edit.a.any()


def test_a_clamp_holds_the_statistics_of_the_scores(experts: ms.Experts) -> None:
    assert torch.equal(ms.clamp(experts).b, experts.median)
    assert torch.equal(ms.clamp(experts, value="mean").b, experts.mean)
    assert (ms.clamp(experts, value=-3).b == -3).all()


@pytest.mark.parametrize("value", ["p101", "p-1", "pnan", "q5", "p", "maximum", "90"])
def test_an_unknown_value_is_refused(experts: ms.Experts, value: str) -> None:
    with pytest.raises(MechsteerError, match="'p90', or a number"):
        ms.clamp(experts, made_recording(), value=value)


def test_a_percentile_without_a_recording_is_refused(experts: ms.Experts) -> None:
    with pytest.raises(MechsteerError, match=r"clamp\(experts, recording, value='p90'\)"):
        ms.clamp(experts, value="p90")


def test_damping_and_silencing_scale(experts: ms.Experts) -> None:
    edits = {0.5: ms.damp(experts), 0.2: ms.damp(experts, factor=0.2), 0.0: ms.zero(experts)}
    for factor, edit in edits.items():
        near(edit.a, np.full(19, factor))
        assert not edit.b.any()


def test_aura_damps_by_the_auroc_and_leaves_those_below_chance(experts: ms.Experts) -> None:
    auroc = experts.auroc.double().numpy()
    assert (auroc < 0.5).any() and (auroc > 0.5).any()
    edit = ms.aura(experts)
    near(edit.a, np.where(auroc > 0.5, 1 - 2 * (auroc - 0.5), 1))
    assert not edit.b.any()


@pytest.mark.parametrize("remove", [None, "jpn_Jpan", "deu_Latn"])
def test_a_shift_adds_the_mean_and_takes_another_away(experts: ms.Experts, remove: str) -> None:
    recording = made_recording()
    edit = ms.shift(experts, recording, remove=remove)
    expected = columns(recording, experts, experts.language, "mean").mean(0)
    if remove is not None:
        expected = expected - columns(recording, experts, remove, "mean").mean(0)
    near(edit.b, expected)
    assert (edit.a == 1).all()


def test_a_shift_of_mean_pooled_scores_needs_no_recording() -> None:
    experts = made_scores(pooling="mean").top("fra_Latn", 9)
    assert torch.equal(ms.shift(experts).b, experts.mean)
    with pytest.raises(MechsteerError, match="needs a recording"):
        ms.shift(experts, remove="deu_Latn")


@pytest.mark.parametrize("source", [None, "deu_Latn"])
def test_gaussian_transport_is_the_published_map(source: str | None) -> None:
    recording, experts = made_recording(), made_scores().top("fra_Latn", 19)
    x = columns(recording, experts, source, "mean")
    y = columns(recording, experts, "fra_Latn", "mean")
    edit = gaussian_transport(experts, recording, source=source)
    z = np.linspace(-3, 3, 7)[:, None]
    expected = y.std(0, ddof=1) / x.std(0, ddof=1) * (z - x.mean(0)) + y.mean(0)
    np.testing.assert_allclose(edit.a.numpy() * z + edit.b.numpy(), expected, atol=1e-6)
    assert edit.low is None


@pytest.mark.parametrize("still", ["source", "target"])
def test_gaussian_transport_leaves_neurons_that_hardly_vary(still: str) -> None:
    recording, experts = made_recording(), made_scores().take("fra_Latn", [3, 20, 4])
    row = LANGUAGES.index("fra_Latn" if still == "target" else "deu_Latn")
    values = recording.activations(0, pooling="mean")
    values[recording.labels == row, 3] = values[0, 3] + 1e-5 * values[recording.labels == row, 3]
    edit = gaussian_transport(experts, recording, source="deu_Latn")
    assert (edit.a[0], edit.b[0]) == (1, 0)
    assert (edit.a[1:] != 1).all()


def by_copies(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear-AcT of samples that were repeated until both sides are of one size."""
    size = math.lcm(len(x), len(y))
    a = np.sort(np.repeat(x, size // len(x), axis=0), axis=0)
    b = np.sort(np.repeat(y, size // len(y), axis=0), axis=0)
    covariance = ((a - a.mean(0)) * (b - b.mean(0))).sum(0)
    w = covariance / ((a - a.mean(0)) ** 2).sum(0)
    return w, b.mean(0) - w * a.mean(0)


@pytest.mark.parametrize("counts", [(11, 7, 9), (8, 8, 8), (12, 6, 3), (2, 7, 2), (64, 63, 31)])
@pytest.mark.parametrize("source", [None, "deu_Latn"])
def test_linear_transport_is_least_squares_on_quantiles(
    counts: tuple[int, ...], source: str | None
) -> None:
    recording = made_recording(3, counts=counts)
    experts = made_scores().top("fra_Latn", 19)
    x = columns(recording, experts, source, "mean")
    y = columns(recording, experts, "fra_Latn", "mean")
    edit = linear_transport(experts, recording, source=source)
    a, b = by_copies(x, y)
    near(edit.a, a)
    near(edit.b, b)
    near(edit.low, x.min(0))
    near(edit.high, x.max(0))
    assert linear_transport(experts, recording, window=False).low is None


def test_linear_transport_of_equal_sizes_pairs_rank_by_rank_exactly() -> None:
    from mechsteer.interventions.transport import match_quantiles

    x, y = torch.randn(2, 30, 5, dtype=torch.float64)
    a, b = x.sort(0).values, y.sort(0).values
    centred = a - x.mean(0)
    slope = (centred * (b - y.mean(0))).sum(0) / (centred * centred).sum(0)
    found = match_quantiles(x, y)
    assert torch.equal(found[0], slope)
    assert torch.equal(found[1], y.mean(0) - slope * x.mean(0))


def test_linear_transport_recovers_an_affine_map() -> None:
    recording, experts = made_recording(counts=(9, 9, 4)), made_scores().take("fra_Latn", [0, 25])
    for point in SITE.points:
        values = recording.activations(point, pooling="mean")
        values[recording.labels == 1] = 2.5 * values[recording.labels == 0].flip(0) - 4
    edit = linear_transport(experts, recording, source="deu_Latn")
    near(edit.a, np.array([2.5, 2.5]))
    near(edit.b, np.array([-4.0, -4.0]))


def test_linear_transport_leaves_neurons_whose_source_is_constant() -> None:
    recording, experts = made_recording(), made_scores().take("fra_Latn", [3, 4])
    recording.activations(0, pooling="mean")[recording.labels == 0, 3] = 0.1
    edit = linear_transport(experts, recording, source="deu_Latn")
    assert (edit.a[0], edit.b[0]) == (1, 0)
    assert edit.a[1] != 1


TRANSPORTS = [linear_transport, gaussian_transport]


@pytest.mark.parametrize("make", [*TRANSPORTS, ms.shift])
def test_edits_that_act_on_tokens_refuse_another_pooling(make) -> None:
    experts = made_scores().top("fra_Latn", 5)
    with pytest.raises(ArtifactError, match="'mean' was not recorded"):
        make(experts, made_recording(poolings=("max",)))


def test_a_shift_of_maxima_is_refused(experts: ms.Experts) -> None:
    with pytest.raises(MechsteerError, match="needs means over tokens, got 'max'"):
        ms.shift(replace(experts, beside={}))


def test_a_percentile_of_another_pooling_is_refused(experts: ms.Experts) -> None:
    with pytest.raises(ArtifactError, match="'max' was not recorded"):
        ms.clamp(experts, made_recording(poolings=("mean",)), value="p90", pooling="max")


@pytest.mark.parametrize("make", TRANSPORTS)
def test_transport_needs_two_sides_of_two_sentences(make) -> None:
    experts = made_scores().top("fra_Latn", 5)
    with pytest.raises(MechsteerError, match="two sentences or more on either side"):
        make(experts, made_recording(counts=(1, 5, 5)), source="deu_Latn")
    with pytest.raises(MechsteerError, match="two languages"):
        make(experts, made_recording(), source="fra_Latn")
    with pytest.raises(MechsteerError, match="closest: deu_Latn"):
        make(experts, made_recording(), source="deu_Latm")


@pytest.mark.parametrize("make", [*TRANSPORTS, ms.shift])
def test_activations_that_are_not_finite_are_refused_by_name(make) -> None:
    recording = made_recording()
    recording.activations(1, pooling="mean")[5, 2] = torch.nan
    with pytest.raises(MechsteerError, match=r"\('post', 1, 2\) is not finite"):
        make(made_scores().take("fra_Latn", [1, 15]), recording)


def test_a_recording_of_another_model_is_refused() -> None:
    recording = made_recording()
    experts = made_scores().top("fra_Latn", 5)
    other = replace(experts, model=replace(recording.model, weights_hash="others"))
    with pytest.raises(ArtifactError, match="another model or site"):
        ms.shift(other, recording)


def every_edit(experts: ms.Experts) -> dict[str, NeuronEdit]:
    recording = made_recording()
    return {
        "clamp": ms.clamp(experts, recording, value="p75"),
        "damp": ms.damp(experts),
        "zero": ms.zero(experts),
        "aura": ms.aura(experts),
        "shift": ms.shift(experts, recording),
        "gaussian_transport": gaussian_transport(experts, recording),
        "linear_transport": linear_transport(experts, recording),
    }


def test_every_edit_says_in_json_how_it_came_about() -> None:
    for name, edit in every_edit(made_scores().top("fra_Latn", 6)).items():
        told = json.loads(json.dumps(dict(edit.scaled(0.5).scaled(0.5).provenance)))
        assert told["constructor"] == edit.name == name
        assert (told["language"], told["k"], told["strength"]) == ("fra_Latn", 6, 0.25)
        assert told["selection"] == "top 6 by ap"
        means = name in ("clamp", "shift", "gaussian_transport", "linear_transport")
        assert told["pooling"] == ("mean" if means else "max")


def test_every_edit_of_no_experts_or_no_strength_changes_nothing() -> None:
    scores = made_scores()
    assert all(edit.is_identity() for edit in every_edit(scores.top("fra_Latn", 0)).values())
    for edit in every_edit(scores.top("fra_Latn", 6)).values():
        assert edit.scaled(0).is_identity() and not edit.is_identity()


def test_strength_mixes_the_mapped_value_with_the_old_one() -> None:
    z = torch.linspace(-2, 2, 9)[:, None]
    for edit in every_edit(made_scores().top("fra_Latn", 6)).values():
        mapped = edit.a * z + edit.b
        mixed = edit.scaled(0.3)
        expected = 0.3 * mapped + 0.7 * z
        # three roundings in float32 of values below 10
        torch.testing.assert_close(mixed.a * z + mixed.b, expected, rtol=0, atol=3e-6)
        assert (mixed.low is None) == (edit.low is None)
