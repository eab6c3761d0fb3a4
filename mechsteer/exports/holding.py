"""Neurons held at a value by what comes before them, so that all behind them stays to the bit.

A neuron whose rows in the projections of its MLP are 0 is what their biases say: ``act(b)``, or
gated ``act(g)·u``. From a few units on, ReLU, GELU and SiLU give back what they get, to the bit. So
``g = 32`` and ``u = v / 32`` hold it at v exactly; without a gate, ``b = 2^m |v|`` does, and its
column is multiplied by ``±2^-m``, which changes no digit. The down-projection then sums the very
products that it sums under hooks, in the same order; a bias there would sum them in another.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mechsteer.exports.constant import Map
from mechsteer.exports.mlps import Mlp, mlps_of
from mechsteer.exports.plain import run, sentence
from mechsteer.exports.weights import columns
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite
from mechsteer.selftest.plain import PlainPoint

_OPEN = 32.0  # here and up to twice of it activations are the identity
_TRIED = (32.0, 39.0, 50.0, 63.0)

Given = tuple[PlainPoint, Map]


class Holding:
    """Which neurons of a plain model can be held by biases before them.

    Args:
        model: the model whose copy it is.
        plain: the copy; it stays as it is.
    """

    def __init__(self, model: Model, plain: Any) -> None:
        self.dtype: torch.dtype = plain.dtype
        mlps = mlps_of(model, plain)
        self.mlps = {id(mlp.down): mlp for mlp in _transparent(plain, mlps)}

    def split(self, at: PlainPoint, part: Map) -> tuple[Map, list[Given]]:
        """What of a map of neurons is left to do, and maps before it that hold the others.

        Held are neurons that get a value whatever they were, ``a = 0``.
        """
        mlp = self.mlps.get(id(at.module))
        if mlp is None:
            return part, []
        v = part.b.to(self.dtype).double()
        held = (part.a == 0) & (v != 0)
        factor = torch.ones_like(v)
        if mlp.gate is None:
            factor[held] = v[held].sign() * 2.0 ** (v[held].abs() / _OPEN).log2().floor()
        held &= self._keeps(mlp, v / factor, factor)
        left = Map(part.point, torch.where(held, factor, part.a), torch.where(held, 0.0, part.b))
        if not held.any():
            return part, []
        if mlp.gate is None:
            return left, [_set(*mlp.up, held, v / factor)]
        opened = torch.full_like(v, _OPEN)
        return left, [_set(*mlp.gate, held, opened), _set(*mlp.up, held, v / _OPEN)]

    def _keeps(
        self, mlp: Mlp, before: Float[Tensor, " neuron"], factor: Float[Tensor, " neuron"]
    ) -> Bool[Tensor, " neuron"]:
        """Where the numbers are as exact in the model's precision as they are meant."""
        if mlp.gate is not None:
            return (before / _OPEN).to(self.dtype).double() == before / _OPEN
        weight = columns(mlp.down).double()
        scaled = (weight * factor).to(self.dtype).double()
        return (scaled == weight * factor).all(dim=0) & (before.to(self.dtype).double() == before)


def _set(
    at: PlainPoint, point: HookSite, held: Bool[Tensor, " neuron"], v: Float[Tensor, " neuron"]
) -> Given:
    return at, Map(point, (~held).double(), torch.where(held, v, 0.0))


@torch.inference_mode()
def _transparent(plain: Any, mlps: list[Mlp]) -> list[Mlp]:
    """Those whose neurons are what is given before them, once that is large; found by trying."""
    got: dict[int, Tensor] = {}
    with ExitStack() as scope:
        for mlp in mlps:
            if mlp.gate is not None:
                scope.callback(_giving(mlp.gate[0], torch.tensor([_OPEN])).remove)
            scope.callback(_giving(mlp.up[0], torch.tensor(_TRIED)).remove)
            handle = mlp.down.register_forward_pre_hook(
                lambda module, args: got.update({id(module): args[0]})
            )
            scope.callback(handle.remove)
        run(plain, sentence(plain))
    tried = torch.tensor(_TRIED)
    return [
        mlp
        for mlp in mlps
        if (z := got.get(id(mlp.down))) is not None
        and torch.equal(z, _spread(tried, z) * (1.0 if mlp.gate is None else _OPEN))
    ]


def _giving(at: PlainPoint, values: Tensor) -> Any:
    """A hook that lets a module give some values in turn, at the columns of a hook point."""

    def give(module: Any, args: Any, out: Tensor) -> Tensor:
        out = out.clone()
        part = out[..., slice(*at.columns)]
        part.copy_(_spread(values, part))
        return out

    return at.module.register_forward_hook(give)


def _spread(values: Tensor, like: Tensor) -> Float[Tensor, "..."]:
    """Values in turn along the last dimension, in the shape of another tensor."""
    n = like.shape[-1]
    row = values.repeat(-(-n // len(values)))[:n]
    return row.expand(like.shape).to(like)
