"""p-values of a thousand permuted labelings, for every neuron."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from mechsteer.kernels import PermutationTest, permutation_test
from mechsteer.throughput.cases import ScoringInput
from mechsteer.throughput.measure import Case


def permutation_case(method: str, recording: ScoringInput, *, draws: int) -> Case:
    """Test the first language; elements are activations times labelings, as for labelings."""
    rows, labels = recording.rows, recording.labels
    test = partial(permutation_test, labels=labels, targets=[0], draws=draws)

    def error(found: PermutationTest) -> float:
        few = recording.expected[0, :1]
        again = test(rows[: few.shape[1]].T, backend="numpy").p
        p_error = (found.p[:, : few.shape[1]] - again).abs().max()
        score_error = (found.observed[:, : few.shape[1]] - few).abs().max()
        return float(max(p_error, score_error))

    return Case(
        "permutation test",
        method,
        f"{rows.shape[1]} sentences x {rows.shape[0]} neurons x {draws} draws",
        str(rows.dtype).removeprefix("torch."),
        lambda: test(rows.T),
        error,
        1e-6,
        elements=rows.numel() * draws,
        bytes=rows.nbytes + draws * rows.shape[1] + 8 * len(rows),
        device="cuda" if rows.is_cuda else "cpu",
    )


def cpu() -> Iterator[list[Case]]:
    """Few neurons: the cost is per neuron."""
    for dtype in (torch.bfloat16, torch.float32):
        yield [permutation_case("mechsteer", ScoringInput.make(3000, 400, 10, dtype), draws=1000)]


def cuda() -> Iterator[list[Case]]:
    """A share of a layer."""
    recording = ScoringInput.make(3000, 4096, 10, torch.bfloat16, "cuda")
    yield [permutation_case("mechsteer", recording, draws=1000)]
