"""A bias of one module, set so that its block adds a vector to what it is fed, to the bit.

Between the bias and the residual stream may lie nothing (Llama), a multiplier (Granite) or a norm
(Gemma 2 and 3, OLMo 2). A norm's gains g make ``v`` of ``b = v / g``, if ``b`` has the mean square
1: so all gains lie around ``rms(v)``, and which of the numbers there they are is drawn until the
norm, which gets the same ``b`` at every token, gives each dimension of ``v`` without a rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.exports.weights import parameter
from mechsteer.model.linear import is_norm

_LEVEL = 1024.0  # of a bias before a norm: beside its square, the norm's ε is nothing
_DRAWS = 400
_NEAR = 4  # roundings of the largest entry: what the logits make of it is compared later
_MORE = 0.005  # of all dimensions, so that the last one is free to move
_STEPS = 4  # how many roundings around the wanted number are tried

Adds = Callable[[], Tensor]
"""What a block adds to a residual stream of zeros, ``[token, d]``, with the biases it has."""


def fit(block: Any, module: Any, adds: Adds, v: Float[Tensor, " d"]) -> Tensor | None:
    """Give a module of a silent block the bias that makes the block add ``v``.

    Args:
        block: adds nothing while its biases are 0.
        module: gives as many features as ``v`` has.
        adds: runs the block.
        v: in the block's precision; no bit of it is lost where the numbers allow it.

    Returns:
        what the block adds now, ``v`` to the bit or nearly; None where it is something else.
    """
    dtype = v.dtype
    module.bias = parameter(v, dtype)
    given = adds()[0]
    if not torch.equal(given, v):
        if (norm := _norm_behind(block, module, adds)) is not None:
            module.bias, norm.weight = _through(norm, v)
        elif (scale := float((given.double() * v.double()).sum() / v.double().square().sum())) > 0:
            module.bias = parameter(_scaled(module, adds, v, scale), dtype)
    given = adds()
    gap = (given.double() - v.double()).abs().max()
    return given[0] if gap <= _NEAR * torch.finfo(dtype).eps * v.double().abs().max() else None


def _scaled(module: Any, adds: Adds, v: Float[Tensor, " d"], scale: float) -> Tensor:
    """The numbers around ``v / scale`` that come nearest to ``v`` once they are multiplied."""
    best, least = v, torch.full_like(v, torch.inf)
    for step in range(-_STEPS, _STEPS + 1):
        tried = ((v.double() / scale) * (1 + step * torch.finfo(v.dtype).eps / 2)).to(v.dtype)
        module.bias = parameter(tried, v.dtype)
        gap = (adds()[0] - v).abs()
        best, least = torch.where(gap < least, tried, best), torch.minimum(gap, least)
    return best


def _norm_behind(block: Any, module: Any, adds: Adds) -> Any | None:
    """The norm that gets what a module gives, and nothing else."""
    met: list[Any] = []

    def meet(norm: Any, args: Any, out: Any) -> None:
        if torch.equal(args[0].reshape(-1, args[0].shape[-1])[0], module.bias):
            met.append(norm)

    norms = [part for part in block.modules() if is_norm(part) and hasattr(part, "weight")]
    handles = [norm.register_forward_hook(meet) for norm in norms]
    adds()
    for handle in handles:
        handle.remove()
    return met[0] if len(met) == 1 else None


@torch.inference_mode()
def _through(norm: Any, v: Float[Tensor, " d"]) -> tuple[Any, Any]:
    """Bias before a norm, and weight of the norm, whose output is ``v``; the nearest drawn."""
    draw, gains = torch.Generator().manual_seed(0), _Gains(norm, v)
    best, least = (torch.zeros_like(v), norm.weight), torch.inf
    for n in range(_DRAWS):
        gains.redraw(draw, _STEPS + n / 8)
        norm.weight = parameter(gains.weight, v.dtype)
        gap = (norm(gains.bias[None, None])[0, 0].double() - v.double()).abs()
        gains.wrong = gap > 0
        if float(gap.sum()) < least:
            best, least = (gains.bias, gains.weight), float(gap.sum())
        if not gains.wrong.any():
            break
    return parameter(best[0], v.dtype), parameter(best[1], v.dtype)


class _Gains:
    """Gains around ``rms(v)``, as the weight of a norm has them, and the bias that goes with them.

    Args:
        norm: multiplies by its weight and an offset (1 in Gemma).
        v: what it shall give.
    """

    def __init__(self, norm: Any, v: Float[Tensor, " d"]) -> None:
        self.v, self.dtype = v.double(), v.dtype
        self.level = float(self.v.square().mean().sqrt())
        ones = torch.full_like(v, _LEVEL)
        self.offset = float((norm(ones).double() - norm.weight.double()).median().round())
        grid = torch.finfo(v.dtype).eps * max(abs(self.level - self.offset), self.level)
        self.step = grid / self.level
        self.weight, self.wrong = torch.zeros_like(v), torch.ones_like(v, dtype=torch.bool)

    def redraw(self, draw: torch.Generator, steps: float) -> None:
        """Draw wrong dimensions' gains, and some more, so that the mean square is 1."""
        by = 1 + min(steps * self.step, 1.0) * (torch.rand(len(self.v), generator=draw) - 0.5)
        low, high, kept = self.level / 2, self.level * 2, self.weight
        moved = self.wrong | (torch.rand(len(self.v), generator=draw) < _MORE)
        for _ in range(40):
            around = (low + high) / 2
            drawn = (around * by.double() - self.offset).to(self.dtype)
            self.weight = torch.where(moved, drawn, kept)
            low, high = (around, high) if self._shape.square().mean() > 1 else (low, around)

    @property
    def bias(self) -> Tensor:
        """What the norm gets."""
        return (_LEVEL * self._shape).to(self.dtype)

    @property
    def _shape(self) -> Tensor:
        """What the norm's gains multiply, once the mean square is 1."""
        gains = self.weight.double() + self.offset
        return self.v / torch.where(gains == 0, self.step * self.level, gains)
