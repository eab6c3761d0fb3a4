"""A sentence's numbers do not depend on what it is padded to or batched with.

Tolerances are those of the design: float32 ``|dz| <= 1e-5 max|z|`` at each hook point, lower
precision 2 ulp of the largest value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mechsteer.recording import embed, record
from mechsteer.selftest.check import Check, Gap, measured, relative
from mechsteer.selftest.subject import SENTENCES, Subject, activations

_FLOAT32 = 1e-5
_ULPS = 2.0


def invariance(subject: Subject) -> Iterator[Check]:
    """Padding, then batches, of neurons and of sentence embeddings."""
    tolerance = max(_FLOAT32, _ULPS * torch.finfo(subject.dtype).eps)

    def check(name: str, compared: str, differences: Iterator[float]) -> Check:
        return measured(name, compared, [Gap(d, tolerance) for d in differences])

    yield check("padding", "each sentence with and without padding on the right", _padded(subject))
    yield check("batches", "recorded one sentence at a time, and together", _batched(subject))
    yield check("embeddings", "embedded one sentence at a time, and together", _embedded(subject))


def _padded(subject: Subject) -> Iterator[float]:
    for ids, mask in zip(subject.ids, subject.mask, strict=True):
        n = int(mask.sum())
        alone, padded = (_activations(subject, ids[:k], mask[:k]) for k in (n, len(ids)))
        yield from (relative(padded[hook][:, :n], z) for hook, z in alone.items())


def _activations(subject: Subject, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    hooks = [point.hook for point in subject.points]
    return activations(subject.model, hooks, ids[None], mask[None])


def _batched(subject: Subject) -> Iterator[float]:
    for site in subject.sites:
        options: dict[str, Any] = {"site": site.name, "truncate": True, "progress": False}
        alone, together = (
            record(
                subject.model,
                SENTENCES,
                tokenizer=subject.tokenizer,
                batch_tokens=batch_tokens,
                **options,
            )
            for batch_tokens in (1, 4096)
        )
        for point in site.points:
            yield relative(alone.activations(point), together.activations(point))


def _embedded(subject: Subject) -> Iterator[float]:
    alone, together = (
        embed(
            subject.model,
            SENTENCES,
            tokenizer=subject.tokenizer,
            batch_tokens=batch_tokens,
            truncate=True,
            progress=False,
        )
        for batch_tokens in (1, 4096)
    )
    rows = [torch.cat(list(found.values()), dim=1) for found in (alone, together)]
    yield from (relative(a, b) for a, b in zip(*rows, strict=True))
