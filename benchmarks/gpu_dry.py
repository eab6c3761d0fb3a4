"""The cases of a device on the CPU, with a few neurons: nothing but the device may then fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

from benchmarks import edits, labelings, neighbours, peers, pooling
from mechsteer.throughput import cases

NEURONS = 40  # top experts asks for 32


@contextmanager
def shrunk() -> Iterator[None]:
    """Make the inputs of every operation small, and put them on the CPU."""
    make, draw, batch = cases.ScoringInput.make, cases.activations, cases.token_batch
    pair = cases.neighbours_case

    def recording(n: int, m: int, languages: int, dtype: Any = torch.bfloat16, *_: Any) -> Any:
        return make(n, min(m, NEURONS), languages, dtype)

    def tokens(shape: Any, dtype: Any = torch.float32, *_: Any, **__: Any) -> Any:
        return batch((2, 8, shape[2]), dtype)

    def embeddings(name: Any, run: Any, *_: Any, **__: Any) -> Any:
        return pair(name, run, (NEURONS, 64))

    def activations(n: int, _: int, dtype: Any, *__: Any, **___: Any) -> Any:
        return draw(n, NEURONS, dtype)

    with ExitStack() as scope:
        for owner, name, stand_in in (
            (cases.ScoringInput, "make", recording),
            (labelings, "activations", activations),
            (neighbours, "neighbours_case", embeddings),
            (pooling, "token_batch", tokens),
            (edits, "token_batch", tokens),
            (peers, "_compiled", peers._one_language),  # compiling takes minutes
        ):
            scope.enter_context(mock.patch.object(owner, name, stand_in))
        yield
