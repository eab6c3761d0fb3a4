"""CPU scoring beside its peers, one core each: ``make bench``.

Loops run on fewer neurons: compare ``ns_per_element`` in the extra information, not the times.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import peers
from benchmarks.scoring import Method, activations, compare, labelling, ours

METHODS: dict[str, tuple[Method, int]] = {
    "scikit-learn loop": (peers.scikit_learn, 6),
    "torch.sort": (peers.torch_sort, 100),
    "numpy": (partial(ours, backend="numpy"), 300),
    "cpu": (ours, 2000),
    "cpu with moments": (partial(ours, moments=True), 2000),
}


@pytest.mark.parametrize("languages", [1, 12, 22])
@pytest.mark.parametrize("name", METHODS)
def test_score(benchmark: BenchmarkFixture, name: str, languages: int) -> None:
    method, neurons = METHODS[name]
    rows, labels = activations(neurons, dtype=torch.bfloat16), labelling(languages)
    compare(method, rows, labels, languages)
    torch.set_num_threads(1)
    benchmark.group = f"AP and AUROC, {languages} language{'s' * (languages > 1)}"
    benchmark.pedantic(method, (rows, labels, languages), rounds=3, warmup_rounds=1)
    if benchmark.stats:
        benchmark.extra_info["ns_per_element"] = benchmark.stats.stats.min / rows.numel() * 1e9
