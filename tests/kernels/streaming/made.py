"""Streaming scores of made-up activations, and what it means that two of them are the same."""

from __future__ import annotations

import torch
from torch import Tensor

from mechsteer.kernels import StreamingScores


def stream(x: Tensor, n_positives: int, backend: str, device: torch.device) -> StreamingScores:
    """Everything after the first ``n_positives`` sentences in one batch."""
    made = StreamingScores.from_positives(x[:n_positives].to(device), backend=backend)
    made.update(x[n_positives:].to(device))
    return made


def assert_same_state(found: StreamingScores, expected: StreamingScores) -> None:
    """Every tensor of a state, bit for bit."""
    for name, tensor in expected.state().items():
        assert torch.equal(found.state()[name].cpu(), tensor.cpu()), name
