"""A sentence's numbers do not depend on what it is padded to or batched with.

Tolerances are those of the design: float32 ``|dz| <= 1e-5 max|z|`` at each hook point, lower
precision 2 ulp of the largest value. A head's mean is a sum of numbers that cancel, and rounds as
they do: there the largest of them stands for the largest mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from mechsteer.recording import embed, record
from mechsteer.selftest.check import Check, Gap, measured, relative
from mechsteer.selftest.derived import base_of
from mechsteer.selftest.subject import SENTENCES, Subject, activations

_FLOAT32 = 1e-5
_ULPS = 2.0


def invariance(subject: Subject) -> Iterator[Check]:
    """Padding, then batches, of neurons and of sentence embeddings."""
    tolerance = max(_FLOAT32, _ULPS * torch.finfo(subject.dtype).eps)

    larger = _larger(subject)

    def check(name: str, compared: str, differences: Iterator[tuple[str, float]]) -> Check:
        gaps = [Gap(d, tolerance * larger.get(hook, 1.0)) for hook, d in differences]
        return measured(name, compared, gaps)

    yield check("padding", "each sentence with and without padding on the right", _padded(subject))
    yield check("batches", "recorded one sentence at a time, and together", _batched(subject))
    yield check("embeddings", "embedded one sentence at a time, and together", _embedded(subject))


def _larger(subject: Subject) -> dict[str, float]:
    """How often the largest mean of a head goes into the largest number it is the mean of."""
    bases = {
        point.hook: base_of(subject.model, point.hook)
        for point in subject.points
        if point.kind == "head_mean"
    }
    if not bases:
        return {}
    terms = activations(subject.model, dict.fromkeys(bases.values()), subject.ids, subject.mask)
    return {
        hook: max(1.0, float(terms[base].abs().max() / subject.activations[hook].abs().max()))
        for hook, base in bases.items()
    }


def _padded(subject: Subject) -> Iterator[tuple[str, float]]:
    for ids, mask in zip(subject.ids, subject.mask, strict=True):
        n = int(mask.sum())
        alone, padded = (_activations(subject, ids[:k], mask[:k]) for k in (n, len(ids)))
        yield from ((hook, relative(padded[hook][:, :n], z)) for hook, z in alone.items())


def _activations(subject: Subject, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    hooks = [point.hook for point in subject.points]
    return activations(subject.model, hooks, ids[None], mask[None])


def _batched(subject: Subject) -> Iterator[tuple[str, float]]:
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
            yield point.hook, relative(alone.activations(point), together.activations(point))


def _embedded(subject: Subject) -> Iterator[tuple[str, float]]:
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
    yield from (("", relative(a, b)) for a, b in zip(*rows, strict=True))
