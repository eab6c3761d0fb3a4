"""The plain model on the subject's batch: what it computes, and how well.

Where TransformerLens rebuilds a module (it splits fused projections and computes attention itself),
sums may run in another order. Then a value may differ from the plain one by 4 times the plain
model's own rounding error, which is measured against the plain model in float64: both are roundings
of one function, so the bridge's error is of that size (3 times it, for the luck of the draw), and
the plain one's adds 1. Half an ulp of the largest value is the least error asked for. In float32 a
bridge that runs the model's own modules must be bit-identical.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property, partial
from inspect import signature

import torch
from torch import Tensor, nn

from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, residual_points
from mechsteer.selftest.check import Gap, relative
from mechsteer.selftest.derived import plain_derived
from mechsteer.selftest.plain import Plain, PlainPoint, plain_point, rebuilt
from mechsteer.selftest.subject import Subject

_ROUNDINGS = 4.0
LOGITS = "logits"


class Reference:
    """Activations, rows of the residual stream and logits of a second copy of the model."""

    def __init__(self, subject: Subject, plain: Plain) -> None:
        if plain.copy is None:
            raise ValueError("expected a second copy of the model")
        self.plain = plain
        self.subject = subject
        self._copy: nn.Module = plain.copy
        model, points = subject.model, subject.points
        made = {p.hook: plain_derived(model, plain, p) for p in points}
        self._made = {hook: part for hook, part in made.items() if part is not None}
        found = {p.hook: plain_point(model, plain, p) for p in points if p.hook not in self._made}
        bases = {part.base: part.place for part in self._made.values()}
        self._taps = {k: place for k, place in (found | bases).items() if place is not None}

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """What the copy computes in its own precision."""
        return self._computed(self._copy)

    @cached_property
    def rebuilt(self) -> tuple[str, ...]:
        """Classes of the plain model's modules that the bridge replaced by its own."""
        model, inputs = self.subject.model, self.subject.inputs
        return rebuilt(model, self._copy, self.subject.logits, lambda: self._copy(**inputs))

    @cached_property
    def exact(self) -> dict[str, Tensor]:
        """What it computes in float64; the copy stays in float64."""
        _ = self.values, self.rebuilt  # these need it as it was
        return self._computed(self._copy.double())

    def reads(self, hook: str) -> bool:
        """Whether the plain model holds what passes a hook point, or what it is computed from."""
        return hook in self.values

    def gap(self, found: Tensor, name: str) -> Gap:
        """How far a value is from the plain model's at real tokens, and how far it may be."""
        plain = self._real(self.values, name)
        difference = relative(self._real({name: found}, name), plain)
        if difference == 0 or (self.subject.dtype == torch.float32 and not self.rebuilt):
            return Gap(difference, 0.0)
        error = relative(plain, self._real(self.exact, name))
        return Gap(difference, _ROUNDINGS * max(error, torch.finfo(self.subject.dtype).eps / 2))

    def _computed(self, copy: nn.Module) -> dict[str, Tensor]:
        """What some copy computes, and the neurons that are computed from that."""
        values = _read(copy, self._taps, self.subject.inputs, _rows(self.subject.model))
        parts = [(hook, part) for hook, part in self._made.items() if part.base in values]
        return values | {hook: part.read(values[part.base]) for hook, part in parts}

    def _real(self, values: Mapping[str, Tensor], name: str) -> Tensor:
        """Its values at real tokens; all, where it has one row a sentence (a classifier)."""
        value, shape = values[name], self.subject.mask.shape
        if value.numel() % shape.numel():
            return value
        return value.reshape(*shape, -1)[self.subject.real]


def _rows(model: Model) -> tuple[HookSite, ...]:
    """Rows of the residual stream that ``hidden_states`` holds too: not the last block's output."""
    *rows, _, final = residual_points(model)
    return (*rows, final)


@torch.inference_mode()
def _read(
    copy: nn.Module,
    points: Mapping[str, PlainPoint],
    inputs: Mapping[str, Tensor],
    rows: tuple[HookSite, ...],
) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    with ExitStack() as scope:
        for hook, place in points.items():
            scope.enter_context(place.reading(partial(values.__setitem__, hook)))
        stateless = (
            {"use_cache": False} if "use_cache" in signature(copy.forward).parameters else {}
        )
        out = copy(**inputs, **stateless, output_hidden_states=True)
    hidden = getattr(out, "encoder_hidden_states", None) or out.hidden_states
    values = {row.hook: h.cpu() for row, h in zip(rows, hidden, strict=True)} | values
    logits = getattr(out, "logits", None)
    return values if logits is None else {**values, LOGITS: logits.cpu()}
