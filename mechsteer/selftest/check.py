"""One claim about a model: what was compared, how far apart it was, how far apart it may be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Verdict = Literal["ok", "failed", "refused", "not applicable"]


@dataclass(frozen=True)
class Check:
    """One row of the self-test.

    Attributes:
        name: what is checked, for example ``"hooks: post"``.
        compared: the two sides, in words.
        verdict: ``"ok"`` where ``difference <= tolerance``; ``"refused"`` where mechsteer does not
            read the model, and ``"not applicable"`` where the claim is not made for it.
        difference: the largest found; None where nothing was measured.
        tolerance: the largest allowed, 0 for equal bits.
        reason: why it was refused or does not apply, or where the tolerance comes from.
    """

    name: str
    compared: str
    verdict: Verdict
    difference: float | None = None
    tolerance: float | None = None
    reason: str = ""


class Gap(NamedTuple):
    """A difference beside what is allowed of it."""

    difference: float
    tolerance: float

    @property
    def excess(self) -> float:
        """Difference in units of the tolerance; not a number counts as infinite."""
        if self.difference <= self.tolerance:
            return self.difference / self.tolerance if self.tolerance else 0.0
        return self.difference / self.tolerance if self.tolerance else math.inf

    @property
    def is_allowed(self) -> bool:
        """False for a difference that is not a number."""
        return self.difference <= self.tolerance


def measured(name: str, compared: str, gaps: Iterable[Gap], reason: str = "") -> Check:
    """The check that every gap is allowed, showing the worst of them.

    No gap at all fails: nothing was compared.
    """
    gaps = list(gaps)
    if not gaps:
        return Check(name, compared, "failed", reason="nothing was compared")
    refused = [gap for gap in gaps if not gap.is_allowed]
    worst = max(refused or gaps, key=lambda gap: gap.excess)
    return Check(name, compared, "failed" if refused else "ok", *worst, reason)


def relative(found: Tensor, expected: Tensor) -> float:
    """``max|found - expected| / max|expected|`` in float64, infinite where it is not a number."""
    x, y = found.to("cpu", torch.float64), expected.to("cpu", torch.float64)
    if torch.equal(x, y):
        return 0.0
    difference = float((x - y).abs().max() / y.abs().max())
    return math.inf if math.isnan(difference) else difference


def not_applicable(name: str, compared: str, reason: str) -> Check:
    """A claim that is not made for this model."""
    return Check(name, compared, "not applicable", reason=reason)
