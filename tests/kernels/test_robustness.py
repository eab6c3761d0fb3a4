"""What holds for any operation: far addresses, awkward sizes, bounded memory, identities."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from mechsteer.kernels import (
    KeyCounts,
    StreamingScores,
    neighbours,
    pool_tokens,
    score,
    score_labelings,
    top_experts,
)

# Float64 sums rounded to float32 on both sides: two half ulps of numbers up to 1.
RANKS = {"atol": 1.2e-7, "rtol": 0.0}
LABELS = torch.tensor([0, 1, 1, 0, 1])
FAR = 2**31


def scored(x: Tensor, backend: str) -> Tensor:
    return score(x, LABELS, backend=backend).ap


def labelled(x: Tensor, backend: str) -> Tensor:
    return score_labelings(x, torch.stack([LABELS == 0, LABELS == 1]), backend=backend).auroc


def best(x: Tensor, backend: str) -> Tensor:
    return top_experts(x, LABELS == 1, 2, backend=backend).ap


def streamed(x: Tensor, backend: str) -> Tensor:
    stream = StreamingScores.from_positives(x[LABELS == 1].clone())
    stream.update(x[::3])  # sentences 0 and 3, where they lie
    return stream.result().ap


def counted(x: Tensor, backend: str) -> Tensor:
    counts = KeyCounts(x.shape[1], 2, x.dtype)
    counts.update(x, LABELS)
    return counts.result().ap


Operation = Callable[[Tensor, str], Tensor]


@pytest.mark.parametrize("layout", ["neurons", "sentences"])
@pytest.mark.parametrize(
    ("run", "dtype"),
    [
        *((run, torch.bfloat16) for run in (scored, labelled, best, streamed, counted)),
        *((run, torch.float32) for run in (scored, labelled, best, streamed)),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_activations_past_two_billion_elements_are_read(
    run: Operation, layout: str, dtype: torch.dtype, fast_backend: str
) -> None:
    near = torch.tensor([[5, 1], [2, 4], [3, 3], [4, 2], [1, 5]], dtype=dtype)
    lazy = torch.empty(FAR + 64, dtype=dtype)  # only where it is written does it take memory
    strides = {"neurons": (1, FAR), "sentences": (FAR // 4, 1)}[layout]
    far = lazy.as_strided((5, 2), strides)
    far.copy_(near)
    assert torch.equal(run(far, fast_backend), run(near, fast_backend))


def test_embeddings_past_two_billion_elements_are_read(kernel_backend, device):
    lazy = torch.empty(FAR + 64, dtype=torch.bfloat16, device=device)
    far = lazy.as_strided((2, 3), (FAR, 1))
    far.copy_(torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]))
    found = neighbours(far.flip(0), far, k=1, backend=kernel_backend)
    assert found.index.flatten().tolist() == [1, 0]


@pytest.mark.parametrize("n", [2, 3, 61, 63, 64, 65, 127, 128, 129, 1021, 1023, 1024, 1025])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_labelings_equal_scikit_learn_at_any_number_of_sentences(
    fast_backend: str, n: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(n)
    x = (torch.randn(n, 2, generator=generator) * 4).round().to(dtype)
    positive = torch.rand(3, n, generator=generator) < 0.5
    positive[:, 0], positive[:, 1] = True, False
    found = score_labelings(x, positive, backend=fast_backend)
    for metric, scores in ((average_precision_score, found.ap), (roc_auc_score, found.auroc)):
        expected = [[metric(own, v) for v in x.float().T.numpy()] for own in positive.numpy()]
        torch.testing.assert_close(scores, torch.tensor(np.array(expected)).float(), **RANKS)


@pytest.mark.parametrize(("neurons", "count"), [(0, 3), (4, 0), (0, 0)])
def test_no_neurons_or_no_labelings_give_empty_tables(
    backend: str, neurons: int, count: int
) -> None:
    positive = (torch.arange(6) < 3).expand(count, 6)
    found = score_labelings(torch.zeros(6, neurons), positive, backend=backend)
    assert found.ap.shape == found.auroc.shape == (count, neurons)


NEIGHBOURS_MEMORY = """
import resource, torch
from mechsteer.kernels import neighbours
torch.manual_seed(0)
x = torch.randn(20_000, 8)
neighbours(x[:2000], x[:9000], k=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = neighbours(x, x, k=1)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert (found.index[:, 0] == torch.arange(len(x)))[~found.tied[:, 0]].all()
assert not found.tied.all()
print(grown)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_neighbours_of_many_rows_need_no_matrix_of_all_pairs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NEIGHBOURS_MEMORY], capture_output=True, text=True, check=True
    )
    # The matrix would take 1.6 GB; tiles of 32 MB, their temporaries and the results take 0.1.
    assert int(done.stdout) < 250_000


SCORE_MEMORY = """
import resource, torch
from mechsteer.kernels import score
rows = torch.empty(100_000, 3000, dtype=torch.bfloat16)
for piece in rows.split(1000):
    piece.copy_(torch.randn(piece.shape))
labels = torch.arange(3000) % 10
score(rows[:200].T, labels)  # compiles
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = score(rows.T, labels)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
tables = (found.ap, found.auroc, found.mean, found.median, found.std, found.rest_mean,
          found.rest_std)
print(rows.nbytes, grown - sum(table.nbytes for table in tables))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_scoring_a_model_takes_no_copy_of_its_activations() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCORE_MEMORY], capture_output=True, text=True, check=True
    )
    taken, beyond = map(int, done.stdout.split())
    assert taken == 600_000_000
    assert beyond <= 0.3 * taken  # 1.3 times the input, beside the tables


columns = hnp.arrays(
    np.float32,
    st.tuples(st.integers(4, 40), st.integers(1, 3)),
    elements=st.floats(-9, 9, width=16),
)


def drawn_labels(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)) % 2


@settings(deadline=None, max_examples=40)
@given(values=columns, seed=st.integers(0, 99), times=st.integers(2, 4))
def test_repeating_every_sentence_changes_no_score(values, seed, times):
    """TP and FP are both multiplied, and so is P: AP and AUROC are shares."""
    x, labels = torch.from_numpy(values), drawn_labels(len(values), seed)
    once = score(x, labels)
    often = score(x.repeat(times, 1), labels.repeat(times))
    torch.testing.assert_close(often.ap, once.ap, **RANKS)
    torch.testing.assert_close(often.auroc, once.auroc, **RANKS)


@settings(deadline=None, max_examples=40)
@given(values=columns, seed=st.integers(0, 99))
def test_average_precision_lies_between_its_bounds(values, seed):
    """At most 1; at least that of all positives behind all negatives (Boyd et al. 2012)."""
    x, labels = torch.from_numpy(values), drawn_labels(len(values), seed)
    found = score(x, labels)
    for language, count in enumerate(found.counts.tolist()):
        place = torch.arange(1, count + 1, dtype=torch.float64)
        least = (place / (place + len(x) - count)).mean()
        assert (found.ap[language] >= least - RANKS["atol"]).all()
        assert (found.ap[language] <= 1).all()


@settings(deadline=None, max_examples=40)
@given(values=columns, seed=st.integers(0, 99))
def test_turning_activations_round_turns_auroc_round(values, seed):
    x, labels = torch.from_numpy(values), drawn_labels(len(values), seed)
    total = score(x, labels).auroc + score(-x, labels).auroc
    torch.testing.assert_close(total, torch.ones_like(total), **RANKS)


@settings(deadline=None, max_examples=40)
@given(values=columns, seed=st.integers(0, 99))
def test_a_labeling_and_its_complement_share_auroc(values, seed):
    x, positive = torch.from_numpy(values), drawn_labels(len(values), seed).bool()
    found = score_labelings(x, torch.stack([positive, ~positive])).auroc
    torch.testing.assert_close(found[0] + found[1], torch.ones(x.shape[1]), **RANKS)


@settings(deadline=None, max_examples=40)
@given(values=columns, seed=st.integers(0, 99))
def test_average_precision_of_a_labeling_and_its_complement_is_as_defined(values, seed):
    """TP and TP + FP counted sentence by sentence; no identity ties the two AP together."""
    x, positive = torch.from_numpy(values), drawn_labels(len(values), seed).bool()
    at_least = x[:, None] >= x  # [other, sentence, neuron]: is the other's activation >= this one's
    for own, found in zip(
        (positive, ~positive),
        score_labelings(x, torch.stack([positive, ~positive])).ap,
        strict=True,
    ):
        precision = at_least[own].double().sum(0) / at_least.double().sum(0)
        torch.testing.assert_close(found, precision[own].mean(0).float(), **RANKS)


@settings(deadline=None, max_examples=40)
@given(values=columns, seed=st.integers(0, 99))
def test_labelings_are_the_scores_of_their_two_classes(values, seed):
    x, labels = torch.from_numpy(values), drawn_labels(len(values), seed)
    found, expected = score_labelings(x, torch.stack([labels == 0, labels == 1])), score(x, labels)
    torch.testing.assert_close(found.ap, expected.ap, **RANKS)
    torch.testing.assert_close(found.auroc, expected.auroc, **RANKS)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.integers(1, 4), st.integers(2, 9), st.data())
def test_the_maximum_of_a_text_is_that_of_its_parts(seed, batch, tokens, data):
    cut = data.draw(st.integers(1, tokens - 1))
    z = torch.randn(batch, tokens, 5, generator=torch.Generator().manual_seed(seed))
    real = torch.ones(batch, tokens, dtype=torch.bool)
    whole = pool_tokens(z, real)
    parts = [pool_tokens(z[:, part], real[:, part]) for part in (slice(cut), slice(cut, None))]
    assert torch.equal(whole, torch.maximum(*parts))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.integers(2, 12), st.integers(2, 20))
def test_the_order_of_candidates_does_not_matter(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, 6, generator=generator), torch.randn(m, 6, generator=generator)
    order = torch.randperm(m, generator=generator)
    plain, shuffled = neighbours(x, y, k=2), neighbours(x, y[order], k=2)
    sure = ~plain.tied
    assert torch.equal(order[shuffled.index][sure], plain.index[sure])
    # another place in the product is another order of its sum: one rounding of numbers up to 1
    torch.testing.assert_close(shuffled.score, plain.score, rtol=0, atol=4e-7)
