from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from mechsteer.kernels import score, score_labelings

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
# Float64 sums rounded to float32 on both sides: two half ulps of numbers up to 1.
RANKS = {"atol": 1.2e-7, "rtol": 0.0}


def labelings(count: int, n: int) -> Tensor:
    """Random, overlapping; the first has one positive, the last one negative."""
    made = torch.rand(count, n, generator=torch.Generator().manual_seed(count)) < 0.3
    made[0], made[-1] = False, True
    made[0, n // 2], made[-1, 0] = True, False
    return made


def activations(kind: str, n: int, m: int, dtype: torch.dtype) -> Tensor:
    noise = torch.randn(n, m, generator=torch.Generator().manual_seed(n))
    made = {"wide": noise, "relu": noise.relu(), "constant": torch.ones_like(noise)}
    return made[kind].to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", ["wide", "relu", "constant"])
def test_equals_scikit_learn_for_overlapping_labelings(
    backend: str, kind: str, dtype: torch.dtype
) -> None:
    x, positive = activations(kind, 53, 4, dtype), labelings(6, 53)
    found = score_labelings(x, positive, backend=backend)
    for metric, scores in ((average_precision_score, found.ap), (roc_auc_score, found.auroc)):
        expected = [[metric(own, v) for v in x.float().T.numpy()] for own in positive.numpy()]
        torch.testing.assert_close(scores, torch.tensor(np.array(expected)).float(), **RANKS)


def test_more_labelings_than_walk_together(fast_backend: str) -> None:
    x, positive = activations("relu", 40, 3, torch.bfloat16), labelings(1030, 40)
    found = score_labelings(x, positive, backend=fast_backend)
    for labeling in (0, 1023, 1024, 1029):
        expected = score(x, positive[labeling].long(), backend="reference", moments=False)
        torch.testing.assert_close(found.ap[labeling], expected.ap[1], **RANKS)
        torch.testing.assert_close(found.auroc[labeling], expected.auroc[1], **RANKS)


def test_more_sentences_than_a_word_numbers(fast_backend: str) -> None:
    x, positive = activations("wide", 65_600, 1, torch.bfloat16), labelings(2, 65_600)
    found = score_labelings(x, positive, backend=fast_backend)
    expected = score(x, positive[1].long(), backend="cpu", moments=False)
    torch.testing.assert_close(found.ap[1], expected.ap[1], **RANKS)


def test_strides_do_not_matter(fast_backend: str) -> None:
    x, positive = activations("wide", 30, 200, torch.float32), labelings(3, 30)
    found = score_labelings(x.T.contiguous().T, positive, backend=fast_backend)
    assert torch.equal(found.ap, score_labelings(x, positive, backend=fast_backend).ap)


def test_activations_that_are_not_finite_are_refused_by_column(backend: str) -> None:
    x = torch.zeros(5, 300)
    x[2, 290], x[3, 170] = float("nan"), float("inf")
    with pytest.raises(ValueError, match=r"column 170 \(sentence 3\)"):
        score_labelings(x, labelings(2, 5), backend=backend)


@pytest.mark.parametrize("fill", [True, False])
def test_labelings_of_one_kind_are_refused(fill: bool) -> None:
    positive = labelings(3, 5)
    positive[1] = fill
    with pytest.raises(ValueError, match=f"label set 1 has {5 * fill} positives among 5"):
        score_labelings(torch.zeros(5, 2), positive)


@pytest.mark.parametrize(
    "positive", [torch.ones(2, 4, dtype=torch.bool), torch.ones(2, 5), torch.ones(5).bool()]
)
def test_labelings_of_another_type_or_shape_are_refused(positive: Tensor) -> None:
    with pytest.raises(ValueError, match="expected boolean label sets"):
        score_labelings(torch.zeros(5, 2), positive)
