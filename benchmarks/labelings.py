"""Many overlapping labelings over one sort, beside scoring each by itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from mechsteer.throughput.cases import activations, labelings_case
from mechsteer.throughput.measure import Case

COUNTS = (10, 100, 1000)


def cpu() -> Iterator[list[Case]]:
    """The sort is shared: cost per labeling falls with their number."""
    for dtype in (torch.bfloat16, torch.float32):
        rows = activations(3000, 400, dtype)
        yield [labelings_case(rows, count) for count in COUNTS]


def cuda() -> Iterator[list[Case]]:
    """The same at the size of a layer."""
    rows = activations(4096, 4096, torch.bfloat16, "cuda")
    yield [labelings_case(rows, count) for count in COUNTS]
