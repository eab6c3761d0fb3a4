from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from mechsteer.kernels import LabelingScores, StreamingScores, score_labelings
from mechsteer.kernels.streaming import negative_counts_torch, streaming_scores
from tests.kernels.made import KINDS, activations
from tests.kernels.streaming.made import assert_same_state, stream

DTYPES = (torch.bfloat16, torch.float16, torch.float32)


def one_shot(x: Tensor, n_positives: int) -> LabelingScores:
    return score_labelings(x, (torch.arange(len(x)) < n_positives)[None], backend="cpu")


def assert_equals_one_shot(found: LabelingScores, expected: LabelingScores) -> None:
    """AUROC to the bit, AP within one unit in the last place of float32."""
    assert torch.equal(found.auroc.cpu(), expected.auroc)
    places = found.ap.cpu().view(torch.int32) - expected.ap.view(torch.int32)
    assert places.abs().max() <= 1


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_scikit_learn_on_every_kind_of_ties(
    kernel_backend: str, device: torch.device, kind: str, dtype: torch.dtype
) -> None:
    x = activations(kind, 61, 3, dtype)
    found = stream(x, 17, kernel_backend, device).result()
    positive = np.arange(61) < 17
    for metric, scores in ((average_precision_score, found.ap), (roc_auc_score, found.auroc)):
        expected = [metric(positive, values) for values in x.double().T.numpy()]
        # Float64 on both sides, rounded once to float32: 6e-8 of numbers up to 1.
        np.testing.assert_allclose(scores[0].cpu().numpy(), expected, rtol=0, atol=1.2e-7)


@pytest.mark.parametrize("n_positives", [1, 2, 126, 127, 128, 129])
@pytest.mark.parametrize("n_negatives", [1, 31])
def test_equals_the_one_shot_scores_at_the_edges_of_a_tree(
    kernel_backend: str, device: torch.device, n_positives: int, n_negatives: int
) -> None:
    x = activations("grid", n_positives + n_negatives, 2, torch.bfloat16)
    found = stream(x, n_positives, kernel_backend, device).result()
    assert_equals_one_shot(found, one_shot(x, n_positives))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("n_positives", [1023, 1024, 4095, 4096, 8195])
def test_equals_the_one_shot_scores_for_more_positives_than_one_tree_holds(
    kernel_backend: str, device: torch.device, n_positives: int, dtype: torch.dtype
) -> None:
    x = activations("wide", n_positives + 300, 2, dtype)
    x[::7] = 0.25  # ties across pieces
    found = stream(x, n_positives, kernel_backend, device).result()
    assert_equals_one_shot(found, one_shot(x, n_positives))


@pytest.mark.parametrize("steps", [1, 3, 40, 3000])
def test_equals_the_one_shot_scores_where_only_the_lowest_bits_differ(
    kernel_backend: str, device: torch.device, steps: int
) -> None:
    noise = torch.randn(700, 3, generator=torch.Generator().manual_seed(steps))
    x = noise.sign() + (noise * steps).round() * torch.finfo(torch.float32).eps
    found = stream(x, 300, kernel_backend, device).result()
    assert_equals_one_shot(found, one_shot(x, 300))


def test_equals_the_one_shot_scores_for_batches_longer_than_a_block(
    kernel_backend: str, device: torch.device
) -> None:
    x = activations("wide", 2600, 2, torch.bfloat16)
    found = stream(x, 40, kernel_backend, device).result()
    assert_equals_one_shot(found, one_shot(x, 40))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_equals_the_one_shot_scores_without_numba(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(streaming_scores, "usable", lambda library: False)
    monkeypatch.setattr(negative_counts_torch, "_CHUNK_ELEMENTS", 100)
    x = activations("grid", 97, 5, dtype)
    found = stream(x, 30, "cpu", torch.device("cpu"))
    monkeypatch.undo()
    assert_equals_one_shot(found.result(), one_shot(x, 30))
    assert_same_state(found, stream(x, 30, "reference", torch.device("cpu")))


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_however_negatives_are_split_ordered_and_merged_all_bits_are_the_same(
    kernel_backend: str, device: torch.device, data: st.DataObject
) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    n_positives, n_negatives = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 40))
    size = (n_positives + n_negatives) * 2
    grid = st.sampled_from([-2.0, -0.5, -0.0, 0.0, 0.25, 0.5, 3.0])
    values = data.draw(st.lists(grid, min_size=size, max_size=size))
    x = torch.tensor(values, dtype=dtype).view(-1, 2)
    order = torch.tensor(data.draw(st.permutations(range(n_negatives)))) + n_positives
    whole = stream(x, n_positives, kernel_backend, device)
    cuts = sorted(data.draw(st.lists(st.integers(0, n_negatives), max_size=3)))
    shards = []
    for batch in torch.tensor_split(x[order], cuts):
        shard = StreamingScores.from_positives(x[:n_positives].to(device), backend=kernel_backend)
        shard.update(batch.to(device))
        shards.append(shard)
    for shard in shards[1:]:
        shards[0].merge(shard)
    assert_same_state(shards[0], whole)
    assert torch.equal(shards[0].result().ap, whole.result().ap)
    assert torch.equal(shards[0].result().auroc, whole.result().auroc)
    assert_equals_one_shot(whole.result(), one_shot(x, n_positives))


def test_backends_keep_the_same_state_and_merge(kernel_backend: str, device: torch.device) -> None:
    x = activations("grid", 90, 3, torch.float32)
    found = stream(x, 40, kernel_backend, device)
    expected = stream(x, 40, "reference", torch.device("cpu"))
    assert_same_state(found, expected)
    found.merge(expected)
    assert found.n_negatives == 100
    assert torch.equal(found.result().auroc.cpu(), expected.result().auroc)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_strides_do_not_matter(
    kernel_backend: str, device: torch.device, dtype: torch.dtype
) -> None:
    x = activations("wide", 50, 4, dtype)
    wide = torch.zeros(100, 8, dtype=dtype)
    wide[::2, ::2] = x
    expected = stream(x.contiguous(), 20, kernel_backend, device)
    for other in (x.T.contiguous().T, wide[::2, ::2]):
        assert_same_state(stream(other, 20, kernel_backend, device), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_batch_that_is_not_finite_is_refused_by_column_and_leaves_no_trace(
    kernel_backend: str, device: torch.device, dtype: torch.dtype, value: float
) -> None:
    x = activations("grid", 40, 3, dtype)
    found = stream(x, 15, kernel_backend, device)
    bad = x[:9].clone()
    bad[4, 1] = value
    with pytest.raises(ValueError, match=r"column 1 \(sentence 4\)"):
        found.update(bad.to(device))
    assert_same_state(found, stream(x, 15, kernel_backend, device))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_positives_that_are_not_finite_are_refused_by_column(value: float) -> None:
    positives = torch.zeros(5, 3)
    positives[2, 1] = value
    with pytest.raises(ValueError, match=r"column 1 \(sentence 2\)"):
        StreamingScores.from_positives(positives)


def test_a_batch_without_sentences_changes_nothing(
    kernel_backend: str, device: torch.device
) -> None:
    x = activations("wide", 20, 2, torch.bfloat16)
    found = stream(x, 8, kernel_backend, device)
    found.update(x[:0].to(device))
    assert_same_state(found, stream(x, 8, kernel_backend, device))


def test_no_negatives_have_no_result(kernel_backend: str, device: torch.device) -> None:
    found = StreamingScores.from_positives(torch.ones(3, 2, device=device), backend=kernel_backend)
    found.update(torch.ones(0, 2, device=device))
    with pytest.raises(ValueError, match="at least one negative"):
        found.result()


def test_no_neurons_have_an_empty_result() -> None:
    found = StreamingScores.from_positives(torch.ones(3, 0))
    found.update(torch.ones(2, 0))
    assert found.result().ap.shape == (1, 0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_memory_is_foretold_and_does_not_grow(dtype: torch.dtype) -> None:
    n_positives = 50
    found = StreamingScores.from_positives(torch.ones(n_positives, 3, dtype=dtype))
    foretold = StreamingScores.memory(n_positives, 3, dtype)
    for _ in range(5):
        found.update(torch.zeros(100, 3, dtype=dtype))
        assert found.nbytes == foretold
    kept = 3 * n_positives + 6 if dtype.itemsize == 2 else 2 * n_positives + 3
    assert foretold == kept * 3 * dtype.itemsize  # the break-even that the documentation states


def test_scores_of_more_pairs_than_float32_counts_are_exact() -> None:
    """Tripling every negative does not move AUROC; the sums leave float32's integers behind."""
    x, times = activations("grid", 131, 40, torch.bfloat16), 3**12
    found = stream(x, 41, "cpu", torch.device("cpu"))
    for _ in range(12):
        part = StreamingScores.from_state(found.state())
        found.merge(part)
        found.merge(part)
    assert found.n_negatives == 90 * times
    assert torch.equal(found.result().auroc, one_shot(x, 41).auroc)
    own, other = x[:41, 0].tolist(), x[41:, 0].tolist()
    hits = [sum(v >= u for v in own) for u in own]
    false = [sum(v >= u for v in other) * times for u in own]
    exact = sum(Fraction(t, t + f) for t, f in zip(hits, false, strict=True)) / 41
    assert found.result().ap[0, 0].item() == pytest.approx(float(exact), rel=1.2e-7)


def test_more_negatives_than_counts_hold_are_refused() -> None:
    found = stream(torch.zeros(3, 1), 2, "cpu", torch.device("cpu"))
    state = found.state() | {"n_negatives": torch.tensor(2**31 - 1)}
    state["counts"] = torch.tensor([[2**31 - 1, 0, 0]], dtype=torch.int32)
    full = StreamingScores.from_state(state)
    with pytest.raises(ValueError, match="at most 2147483647"):
        full.update(torch.zeros(1, 1))
    with pytest.raises(ValueError, match="at most 2147483647"):
        full.merge(found)
    assert full.n_negatives == 2**31 - 1


@pytest.mark.gpu
@pytest.mark.triton
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_device_counts_as_the_cpu_does_at_sizes_of_use(dtype: torch.dtype) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x = activations("wide", 6000, 300, dtype)
    for n_positives in (100, 1000, 5000):
        found = stream(x, n_positives, "triton", torch.device("cuda"))
        assert_same_state(found, stream(x, n_positives, "cpu", torch.device("cpu")))
