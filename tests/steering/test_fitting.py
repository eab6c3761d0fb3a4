from __future__ import annotations

import numpy as np
import pytest
import torch

import mechsteer as ms
from mechsteer.errors import MechsteerError
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import PER_EXPERT, Experts
from mechsteer.interventions import Edit, NeuronEdit, linear_transport, rescored
from mechsteer.recording import Recording, record
from mechsteer.steering.fitting import fit

SOURCE, TARGET = "eng_Latn", "fra_Latn"


@pytest.fixture(scope="module")
def recording(bridge, corpus) -> Recording:
    return record(bridge("llama"), corpus, pooling="mean")


@pytest.fixture(scope="module")
def experts(recording) -> Experts:
    """Twenty of each of three layers."""
    from mechsteer.experts.select import per_layer

    return per_layer(score_recording(recording, pooling="mean"), TARGET, 20)


def transport(experts: Experts):
    def make(recording: Recording, layer: int) -> Edit:
        part = experts.in_layer(layer)
        return linear_transport(part, recording, source=SOURCE, window=False)

    return make


def by_neuron(edit: NeuronEdit) -> dict[int, tuple[float, ...]]:
    ends = () if edit.low is None else (edit.low.tolist(), edit.high.tolist())
    rows = zip(edit.a.tolist(), edit.b.tolist(), *ends, strict=True)
    return dict(zip(edit.index.tolist(), rows, strict=True))


def test_at_once_is_the_edit_of_one_recording(bridge, corpus, recording, experts) -> None:
    found = fit(bridge("llama"), corpus, transport(experts))
    whole = linear_transport(experts, recording, source=SOURCE, window=False)
    assert by_neuron(found) == by_neuron(whole)


def test_windows_survive_the_merging_of_layers(bridge, corpus, recording, experts) -> None:
    def make(recording: Recording, layer: int) -> Edit:
        return linear_transport(experts.in_layer(layer), recording)

    found = fit(bridge("llama"), corpus, make)
    assert by_neuron(found) == by_neuron(linear_transport(experts, recording))


def test_incremental_fits_a_layer_to_what_edits_before_it_let_through(
    bridge, corpus, experts
) -> None:
    """Against one scope after the other, with numpy's fit of each layer."""
    model = bridge("llama")
    found = by_neuron(fit(model, corpus, transport(experts), incremental=True))
    edits: list[NeuronEdit] = []
    for layer in range(3):
        part = experts.in_layer(layer)
        with ms.steer(model, *edits):
            values = record(model, corpus, pooling="mean").activations(layer)
        columns = values[:, part.index - part.site.offsets[layer]].double().numpy()
        labels = np.array(corpus.flatten()[1])
        x, y = (np.sort(columns[labels == row], axis=0) for row in (0, 1))
        x, y = np.repeat(x, len(y), axis=0), np.repeat(y, len(x), axis=0)
        a = ((x - x.mean(0)) * (y - y.mean(0))).sum(0) / ((x - x.mean(0)) ** 2).sum(0)
        b = y.mean(0) - a * x.mean(0)
        coefficients = [found[m] for m in part.index.tolist()]
        np.testing.assert_allclose(coefficients, np.stack([a, b], axis=1), rtol=2e-4, atol=1e-5)
        ends = torch.tensor(coefficients)
        edits.append(NeuronEdit("layer", part.site, part.index, ends[:, 0], ends[:, 1]))
    at_once = by_neuron(fit(model, corpus, transport(experts)))
    first, last = (experts.in_layer(layer).index.tolist() for layer in (0, 2))
    assert all(found[m] == at_once[m] for m in first)
    assert not any(found[m] == at_once[m] for m in last)


def test_only_the_layers_asked_for_are_recorded(bridge, corpus, experts) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    def make(recording: Recording, layer: int) -> Edit:
        seen.append((layer, tuple(point.layer for point in recording.points)))
        return ms.zero(experts.in_layer(layer))

    model = bridge("llama")
    for incremental in (True, False):
        edit = fit(model, corpus, make, layers=[2, 0], incremental=incremental)
        kept = {m for layer in (0, 2) for m in experts.in_layer(layer).index.tolist()}
        assert set(edit.index.tolist()) == kept
    assert seen == [(0, (0,)), (2, (2,)), (0, (0, 2)), (2, (0, 2))]


def test_the_residual_stream_is_fitted_row_by_row(bridge, corpus) -> None:
    model, rows = bridge("llama"), [1, 2, 4]

    def make(recording: Recording, row: int) -> Edit:
        embeddings = recording.embeddings_by_language()
        return ms.diffmean(model, embeddings, target=TARGET, source=SOURCE, layers=row)

    at_once = fit(model, corpus, make, residual=True, layers=rows)
    base = ms.embed(model, corpus)
    expected = ms.diffmean(model, base, target=TARGET, source=SOURCE, layers=rows)
    torch.testing.assert_close(at_once.v, expected.v)
    found = fit(model, corpus, make, residual=True, layers=rows, incremental=True)
    assert [point.layer for point in found.points] == rows
    edits: list[Edit] = []
    for number, row in enumerate(rows):
        with ms.steer(model, *edits):
            means = {code: x[row].double().mean(0) for code, x in ms.embed(model, corpus).items()}
        v = (means[TARGET] - means[SOURCE]).float()
        torch.testing.assert_close(found.v[0, number], v, rtol=1e-4, atol=1e-5)
        edits.append(ms.diffmean(model, base, target=TARGET, source=SOURCE, layers=row))
        object.__setattr__(edits[-1], "v", v[None, None])
    # a constant moves what later layers make of it
    assert not torch.allclose(found.v[0, -1], at_once.v[0, -1], rtol=1e-2)


def test_an_edit_of_nobody_changes_nothing(bridge, corpus, experts) -> None:
    edit = fit(bridge("llama"), corpus, lambda r, layer: ms.zero(experts.pick([])))
    assert edit.is_identity()


@pytest.mark.parametrize("layers", [[3], [], [-1]])
def test_layers_must_exist(bridge, corpus, experts, layers: list[int]) -> None:
    with pytest.raises(MechsteerError, match="layers from 0 to 2"):
        fit(bridge("llama"), corpus, transport(experts), layers=layers)


def test_edits_of_several_kinds_are_refused(bridge, corpus, experts) -> None:
    def make(recording: Recording, layer: int) -> Edit:
        return linear_transport(experts.in_layer(layer), recording, window=layer == 1)

    with pytest.raises(MechsteerError, match="merge into one"):
        fit(bridge("llama"), corpus, make)


def test_the_model_is_left_as_it_was(bridge, corpus, experts) -> None:
    model = bridge("llama")
    before = ms.embed(model, corpus)[TARGET]
    fit(model, corpus, transport(experts), incremental=True)
    assert torch.equal(ms.embed(model, corpus)[TARGET], before)


def test_experts_scored_again_have_what_scoring_all_neurons_gives(bridge, corpus) -> None:
    recording = record(bridge("llama"), corpus, pooling=("max", "mean"))
    scores = {how: score_recording(recording, pooling=how) for how in ("max", "mean")}
    experts = scores["max"].top(TARGET, 31)
    again = rescored(experts, recording, pooling="mean")
    expected = scores["mean"].take(TARGET, experts.index.tolist())
    for name in PER_EXPERT:
        # one kernel, two orders of adding up
        torch.testing.assert_close(
            getattr(again, name), getattr(expected, name), rtol=1e-5, atol=1e-6
        )
    assert again.pooling == "mean"
    assert torch.equal(ms.shift(again).b, again.mean)
    same = rescored(experts, recording)
    torch.testing.assert_close(same.auroc, experts.auroc)


def test_aura_can_be_fitted_incrementally(bridge, corpus, experts) -> None:
    def make(recording: Recording, layer: int) -> Edit:
        return ms.aura(rescored(experts.in_layer(layer), recording))

    model = bridge("llama")
    options = {"pooling": ("max", "mean")}
    step, whole = (fit(model, corpus, make, incremental=i, **options) for i in (True, False))
    steps, wholes = by_neuron(step), by_neuron(whole)
    auroc = dict(zip(experts.index.tolist(), experts.auroc.tolist(), strict=True))
    for m, (a, _) in wholes.items():
        assert a == pytest.approx(1 - 2 * max(auroc[m] - 0.5, 0), abs=1e-6)
    assert any(steps[m] != wholes[m] for m in experts.in_layer(2).index.tolist())
