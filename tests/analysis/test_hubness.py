from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from mechsteer.analysis.hubness import occurrence_histogram
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
    found = occurrence_histogram(x, k=k)
    expected = np.bincount(by_loop(x, min(k, n)), minlength=n + 1)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert int(found.sum()) == 6 * n
    assert int((found * torch.arange(n + 1)).sum()) == 6 * n * min(k, n)


def test_what_has_no_direction_is_refused() -> None:
    with pytest.raises(MechsteerError, match="b: row 1 is zero"):
        occurrence_histogram({"a": torch.eye(2), "b": torch.tensor([[1.0, 0.0], [0.0, 0.0]])})
