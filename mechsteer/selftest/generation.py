"""Greedy generation with a key-value cache writes what it writes without one.

Transformers writes, which prepares for each model the positions and the cache that it needs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Int
from torch import Tensor

from mechsteer.errors import ModelError
from mechsteer.model.cached import require_correct_cache
from mechsteer.selftest.check import Check, Gap, measured, not_applicable
from mechsteer.selftest.locality import shifted
from mechsteer.selftest.subject import Subject
from mechsteer.steering import steer

_COMPARED = "tokens written greedily with a cache that differ from those without"
_TOKENS = 8


def generation(subject: Subject) -> Iterator[Check]:
    """As the model is, then with a neuron of its middle layer edited."""
    names = "generation", "generation, edited"
    if reason := _why_not(subject):
        yield from (not_applicable(name, _COMPARED, reason) for name in names)
        return
    try:
        require_correct_cache(subject.model)
    except ModelError as refusal:
        yield from (Check(name, _COMPARED, "failed", reason=str(refusal)) for name in names)
        return
    site = subject.sites[0]
    point = site.points[len(site.points) // 2]
    edit = shifted(subject, site, point, point.width // 2)
    yield measured(names[0], _COMPARED, [_differing(subject)])
    with steer(subject.model, edit, tokenizer=subject.tokenizer):
        yield measured(names[1], _COMPARED, [_differing(subject)])


def _why_not(subject: Subject) -> str:
    if not subject.model.original_model.can_generate():
        return "the model does not generate"
    if subject.dtype not in (torch.float32, torch.float64):
        return f"promised in float32, and the model is in {str(subject.dtype).split('.')[-1]}"
    return ""


def _differing(subject: Subject) -> Gap:
    cached, uncached = (_written(subject, cache=cache) for cache in (True, False))
    if len(cached) != len(uncached):
        return Gap(float(abs(len(cached) - len(uncached))), 0.0)
    return Gap(float((cached != uncached).sum()), 0.0)


@torch.inference_mode()
def _written(subject: Subject, *, cache: bool) -> Int[Tensor, " token"]:
    """The continuation of the first sentence."""
    n = int(subject.mask[0].sum())
    ids, mask = subject.ids[:1, :n], subject.mask[:1, :n]
    out: Tensor = subject.model.original_model.generate(
        ids, attention_mask=mask, use_cache=cache, max_new_tokens=_TOKENS, do_sample=False
    )
    return out[0]
