from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from mechsteer.kernels import KeyCounts, LabelingScores, score_labelings
from mechsteer.kernels.streaming import key_counts, key_counts_torch
from tests.kernels.made import KINDS, activations

DTYPES = (torch.bfloat16, torch.float16)


@pytest.fixture(params=["numba", "torch"], autouse=True)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to count on a CPU; the second is the way of every other device."""
    if request.param == "torch":
        monkeypatch.setattr(key_counts, "usable", lambda library: False)
        monkeypatch.setattr(key_counts_torch, "_CHUNK_ELEMENTS", 4096)
    return str(request.param)


def labelling(n: int, n_classes: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(n)) % n_classes


def counted(x: Tensor, labels: Tensor, n_classes: int, **how: int) -> KeyCounts:
    made = KeyCounts(x.shape[1], n_classes, x.dtype, **how)
    made.update(x, labels)
    return made


def assert_equals_one_shot(found: LabelingScores, x: Tensor, labels: Tensor) -> None:
    """AUROC to the bit, AP within one unit in the last place of float32."""
    member = labels == torch.arange(int(labels.max()) + 1)[:, None]
    expected = score_labelings(x, member, backend="cpu")
    assert torch.equal(found.auroc, expected.auroc)
    places = found.ap.contiguous().view(torch.int32) - expected.ap.view(torch.int32)
    assert places.abs().max() <= 1


def scores_of(counts: KeyCounts) -> Tensor:
    found = counts.result()
    return torch.stack([found.ap, found.auroc])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_scikit_learn_on_every_kind_of_ties(kind: str, dtype: torch.dtype) -> None:
    x, labels = activations(kind, 61, 5, dtype), labelling(61, 3)
    found = counted(x, labels, 3).result()
    for metric, scores in ((average_precision_score, found.ap), (roc_auc_score, found.auroc)):
        expected = [[metric(labels == c, v) for v in x.double().T.numpy()] for c in range(3)]
        np.testing.assert_allclose(scores.numpy(), expected, rtol=0, atol=1.2e-7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n", "n_classes"), [(2, 2), (3, 2), (211, 3), (1031, 12)])
def test_equals_the_one_shot_scores(n: int, n_classes: int, dtype: torch.dtype) -> None:
    x, labels = activations("wide", n, 70, dtype), labelling(n, n_classes)
    assert_equals_one_shot(counted(x, labels, n_classes).result(), x, labels)


def test_every_finite_value_keeps_its_place() -> None:
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    for dtype in DTYPES:
        values = bits.view(dtype)
        values = values[values.isfinite()][:, None]
        labels = torch.arange(len(values)) * 7 % 11 % 2
        assert_equals_one_shot(counted(values, labels, 2).result(), values, labels)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_however_sentences_are_split_ordered_and_merged_all_bits_are_the_same(
    data: st.DataObject,
) -> None:
    dtype, n = data.draw(st.sampled_from(DTYPES)), data.draw(st.integers(3, 40))
    grid = st.sampled_from([-200.0, -0.5, -0.0, 0.0, 0.25, 0.5, 3.0])
    x = torch.tensor(data.draw(st.lists(grid, min_size=2 * n, max_size=2 * n)), dtype=dtype)
    x, labels = x.view(n, 2), torch.arange(n) % 3
    order = torch.tensor(data.draw(st.permutations(range(n))))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    batches = [torch.tensor_split(part[order], cuts) for part in (x, labels)]
    shards = [counted(*batch, 3) for batch in zip(*batches, strict=True)]
    for shard in shards[1:]:
        shards[0].merge(shard)
    whole = counted(x, labels, 3)
    assert shards[0].n_sentences == whole.n_sentences == n
    assert torch.equal(scores_of(shards[0]), scores_of(whole))
    assert_equals_one_shot(whole.result(), x, labels)


def test_strides_do_not_matter() -> None:
    x, labels = activations("wide", 40, 6, torch.bfloat16), labelling(40, 4)
    wide = torch.zeros(80, 12, dtype=x.dtype)
    wide[::2, ::2] = x
    expected = scores_of(counted(x.contiguous(), labels, 4))
    for other in (x.T.contiguous().T, wide[::2, ::2]):
        assert torch.equal(scores_of(counted(other, labels, 4)), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_batch_that_is_not_finite_is_refused_by_column_and_leaves_no_trace(
    dtype: torch.dtype, value: float
) -> None:
    x, labels = activations("wide", 40, 200, dtype), labelling(40, 4)
    found = counted(x, labels, 4)
    expected, bad = scores_of(found), x.clone()
    bad[7, 150], bad[3, 180] = value, value
    with pytest.raises(ValueError, match=r"column 150 \(sentence 7\)"):
        found.update(bad, labels)
    assert torch.equal(scores_of(found), expected) and found.n_sentences == 40


def test_a_batch_without_sentences_changes_nothing() -> None:
    x, labels = activations("wide", 40, 3, torch.bfloat16), labelling(40, 4)
    found = counted(x, labels, 4)
    found.update(x[:0], labels[:0])
    assert torch.equal(scores_of(found), scores_of(counted(x, labels, 4)))


def test_a_class_without_sentences_has_no_result() -> None:
    x = activations("wide", 10, 3, torch.bfloat16)
    with pytest.raises(ValueError, match="class 2 of 3 has no sentence yet"):
        counted(x, torch.arange(10) % 2, 3).result()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 1, 3]), "labels 0 to 2 for 3 classes, got 3"),
        (torch.tensor([0, -1, 1]), "got -1"),
        (torch.tensor([0, 1]), "each of the 3 sentences"),
        (torch.tensor([0.0, 1.0, 2.0]), "integer labels"),
        (torch.tensor([True, False, True]), "integer labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Tensor, message: str) -> None:
    found = KeyCounts(2, 3, torch.bfloat16)
    with pytest.raises(ValueError, match=message):
        found.update(torch.zeros(3, 2).bfloat16(), labels)
    assert found.n_sentences == 0


@pytest.mark.parametrize("x", [torch.zeros(3, 2), torch.zeros(3, 1).half(), torch.zeros(3).half()])
def test_batches_of_another_type_or_width_are_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"sentence, 2 neurons\] in float16"):
        KeyCounts(2, 3, torch.float16).update(x, torch.arange(3))


def test_wide_activations_and_single_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected bfloat16 or float16, got torch"):
        KeyCounts(2, 3, torch.float32)
    with pytest.raises(ValueError, match="two classes, got 2 and 1"):
        KeyCounts(2, 1, torch.float16)


def test_states_of_other_shapes_do_not_merge() -> None:
    found = KeyCounts(2, 3, torch.float16)
    for other in (KeyCounts(3, 3, torch.float16), KeyCounts(2, 3, torch.bfloat16)):
        with pytest.raises(ValueError, match="to merge, got"):
            found.merge(other)


def test_memory_has_a_bound_and_is_never_above_the_budget() -> None:
    x, labels = activations("wide", 200, 9, torch.bfloat16), labelling(200, 5)
    found = counted(x, labels, 5)
    assert found.nbytes <= KeyCounts.memory(9, 5)
    tight = KeyCounts.memory(9, 5, 0) + found.state()["pages"].nbytes
    budgeted = counted(x, labels, 5, budget=tight)
    assert budgeted.nbytes == tight
    assert torch.equal(scores_of(budgeted), scores_of(found))


def test_a_batch_beyond_the_budget_is_refused_with_numbers_and_leaves_no_trace() -> None:
    x, labels = activations("wide", 200, 9, torch.bfloat16), labelling(200, 5)
    first = counted(x[:100], labels[:100], 5)
    budget = first.memory(9, 5, 0) + first.state()["pages"].nbytes
    found = counted(x[:100], labels[:100], 5, budget=budget)
    expected = scores_of(found)
    with pytest.raises(ValueError, match=rf"at most {budget} bytes, got \d+ for 9 neurons: take 4"):
        found.update(x[100:] * 1000, labels[100:])
    assert torch.equal(scores_of(found), expected) and found.nbytes == budget
    with pytest.raises(ValueError, match="take 0 neurons at a time"):
        KeyCounts(9, 5, torch.bfloat16, budget=100)


def test_a_page_that_fills_the_last_place_is_not_read_as_an_empty_one() -> None:
    x, labels = torch.tensor([[1.0, 1.0], [1.0, 1.0], [4.0, 1.0]]).bfloat16(), torch.arange(3) % 2
    found = counted(x[:2], labels[:2], 2)
    found.update(x[2:], labels[2:])
    assert_equals_one_shot(found.result(), x, labels)


def test_every_page_in_use_takes_the_stated_bound() -> None:
    bits = torch.arange(1 - 2**15, 2**15, 128, dtype=torch.int32).to(torch.int16)
    values = bits.view(torch.bfloat16)
    values = values[values.isfinite()][:, None]
    found = counted(values, torch.arange(len(values)) % 2, 2, budget=KeyCounts.memory(1, 2))
    assert found.state()["pages"].nbytes == 4 * 128 * 2 * 510  # infinities and NaN have two pages


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_saved_state_goes_on(dtype: torch.dtype, tmp_path: Path) -> None:
    x, labels = activations("wide", 60, 3, dtype), labelling(60, 4)
    found = counted(x[:40], labels[:40], 4)
    save_file(found.state(), tmp_path / "state.safetensors")
    resumed = KeyCounts.from_state(load_file(tmp_path / "state.safetensors"))
    resumed.update(x[40:], labels[40:])
    assert torch.equal(scores_of(resumed), scores_of(counted(x, labels, 4)))
    assert resumed.dtype == dtype and found.n_sentences == 40


@pytest.mark.parametrize("name", ["table", "pages", "sizes"])
def test_states_that_do_not_fit_are_refused(name: str) -> None:
    x, labels = activations("wide", 60, 3, torch.bfloat16), labelling(60, 4)
    state = counted(x, labels, 4).state()
    with pytest.raises(ValueError, match="expected a"):
        KeyCounts.from_state(state | {name: state[name][:-1]})
    with pytest.raises(ValueError, match="expected a"):
        KeyCounts.from_state(state | {name: state[name].float()})
    with pytest.raises(ValueError, match="expected a state of"):
        KeyCounts.from_state({key: value for key, value in state.items() if key != name})


def test_an_interrupted_update_is_noticed() -> None:
    found = counted(activations("wide", 60, 3, torch.bfloat16), labelling(60, 4), 4)
    found.state()["pages"][5, 0, 0] += 1
    with pytest.raises(ValueError, match="interrupted"):
        found.result()


def test_scores_of_more_pairs_than_float32_counts_are_exact() -> None:
    """Tripling every sentence moves neither score: their numbers leave float32's integers."""
    x, labels = activations("grid", 131, 40, torch.bfloat16), labelling(131, 3)
    found = counted(x, labels, 3)
    for _ in range(12):
        part = KeyCounts.from_state(found.state())
        found.merge(part)
        found.merge(part)
    assert found.n_sentences == 131 * 3**12
    assert_equals_one_shot(found.result(), x, labels)


def test_more_sentences_than_counts_hold_are_refused() -> None:
    found = counted(torch.zeros(2, 1).half(), torch.tensor([0, 1]), 2)
    for _ in range(29):
        found.merge(KeyCounts.from_state(found.state()))
    with pytest.raises(ValueError, match="at most 2147483647"):
        found.merge(KeyCounts.from_state(found.state()))
    assert found.n_sentences == 2**30


@pytest.mark.gpu
def test_a_device_counts_as_the_cpu_does() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x, labels = activations("wide", 3000, 50, torch.bfloat16), labelling(3000, 12)
    found = KeyCounts(50, 12, torch.bfloat16, device="cuda")
    found.update(x.cuda(), labels.cuda())
    expected = counted(x, labels, 12)
    assert torch.equal(found.result().auroc.cpu(), expected.result().auroc)
    expected.merge(found)
    assert expected.n_sentences == 6000
