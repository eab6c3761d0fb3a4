from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from mechsteer.analysis.hubness import occurrences, skewness
from mechsteer.errors import MechsteerError


def by_loop(embeddings: dict[str, torch.Tensor], k: int) -> list[int]:
    """How often each sentence is among the k nearest, counted query by query in float64."""
    times: list[int] = []
    for source, target in permutations(embeddings, 2):
        count = [0] * len(embeddings[target])
        for query in embeddings[source].double():
            cosine = torch.cosine_similarity(query[None], embeddings[target].double())
            for index in cosine.argsort(descending=True, stable=True)[:k].tolist():
                count[index] += 1
        times += count
    return times


@pytest.mark.parametrize(("n", "k"), [(23, 10), (7, 10), (12, 1)])
def test_occurrences_equal_a_loop_over_queries(n: int, k: int) -> None:
    generator = torch.Generator().manual_seed(n)
    x = {code: torch.randn(n, 6, generator=generator) for code in "abc"}
    found = occurrences(x, k=k)
    expected = np.bincount(by_loop(x, min(k, n)), minlength=n + 1)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert int(found.sum()) == 6 * n
    assert int((found * torch.arange(n + 1)).sum()) == 6 * n * min(k, n)


def test_skewness_is_scipys() -> None:
    histogram = torch.tensor([5, 0, 3, 1, 0, 0, 2])
    values = np.repeat(np.arange(7), histogram.numpy())
    assert skewness(histogram) == pytest.approx(stats.skew(values), rel=1e-12)


def test_equal_counts_have_no_skew() -> None:
    assert skewness(torch.tensor([0, 0, 8])) == 0.0


def test_what_has_no_direction_is_refused() -> None:
    with pytest.raises(MechsteerError, match="b: row 1 is zero"):
        occurrences({"a": torch.eye(2), "b": torch.tensor([[1.0, 0.0], [0.0, 0.0]])})
    with pytest.raises(MechsteerError, match="k of at least 1"):
        occurrences({"a": torch.eye(2), "b": torch.eye(2)}, k=0)
