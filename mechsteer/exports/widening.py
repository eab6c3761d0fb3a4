"""A constant where nothing has a bias: neurons that together are 1 for every token.

A gated MLP behind a root-mean-square norm knows one constant: the norm's output over its gains,
``x̂ = x / w``, has ``Σ x̂_i² = d`` at every token, up to the norm's ε beside the mean square. Two
neurons give ``x̂_i²``, whose gates are ``±x̂_i`` and whose up branches are ``±x̂_i``, since
``act(t)·t + act(-t)·(-t) = t²`` for each activation with ``act(t) - act(-t) = t``: SiLU, GELU and
ReLU. So 2d more neurons a layer, all with the column ``v / d``, write ``v``. A dimension whose gain
is 0 (Gemma 3 hides one or two of the largest) gets a gain, and the neurons that were there weight 0
on it, which is what they saw of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mechsteer.exports.mlps import mlps_of
from mechsteer.exports.plain import run, sentence
from mechsteer.exports.weights import parameter
from mechsteer.model.interface import Model
from mechsteer.model.linear import features, is_norm
from mechsteer.selftest.plain import PlainPoint

# what configurations call the number of neurons of a layer
_WIDTHS = ("intermediate_size", "d_ff", "ffn_dim", "hidden_dim", "ffn_hidden_size")

_CLOSED = 1e-6  # of the largest gain: as good as none


@dataclass(frozen=True)
class _Mlp:
    """The linear modules of one MLP, and the norm that they alone read, if there is one."""

    down: Any
    gate: PlainPoint
    up: PlainPoint
    norm: _Norm | None


@dataclass(frozen=True)
class _Norm:
    """A norm and its gains, which are its weight and an offset (1 in Gemma)."""

    module: Any
    gains: Float[Tensor, " d"]

    def opened(self) -> tuple[Float[Tensor, " d"], Bool[Tensor, " d"]]:
        """Gains without zeros, which its weight has from now on; and where they were."""
        closed = self.gains.abs() <= _CLOSED * self.gains.abs().max()
        gains = self.gains.clone()
        if closed.any():
            weight = self.module.weight.double()
            offset = (gains - weight)[~closed].median().round()
            gains[closed] = gains[~closed].abs().median().to(self.module.weight.dtype).double()
            self.module.weight = parameter(
                torch.where(closed, gains - offset, weight), self.module.weight.dtype
            )
        return gains, closed


class Widening:
    """More neurons in every MLP of a plain model, some of them a constant.

    Args:
        model: the model whose copy it is.
        plain: the copy, which ``apply`` changes.
    """

    def __init__(self, model: Model, plain: Any) -> None:
        self.plain = plain
        self.names = {id(module): name for name, module in plain.named_modules()}
        self.mlps = {self.names[id(mlp.down)]: mlp for mlp in _mlps(model, plain)}

    @property
    def more(self) -> int:
        """Neurons that each MLP gets."""
        return 2 * int(self.plain.config.hidden_size)

    def can(self, down: str) -> bool:
        """Whether an MLP, by the name of its down-projection, can hold a constant."""
        mlp = self.mlps.get(down)
        return mlp is not None and mlp.norm is not None and self._builds

    def apply(self, constants: Mapping[str, Float[Tensor, " d"]]) -> tuple[str, ...]:
        """Write constants by down-projection; returns the fields of the configuration."""
        fields, more = self._fields(), self.more
        for name, mlp in self.mlps.items():
            self._widen(mlp, more, constants.get(name))
        for field in fields:
            width = getattr(self.plain.config, field) + more
            for holder in (
                self.plain.config,
                *(m for m in self.plain.modules() if field in vars(m)),
            ):
                setattr(holder, field, width)
        return fields

    @cached_property
    def _builds(self) -> bool:
        """Whether the class is built wider by its configuration, and in its MLPs alone."""
        config = deepcopy(self.plain.config)
        for field in self._fields():
            setattr(config, field, getattr(config, field) + self.more)
        with torch.device("meta"):
            built = dict(type(self.plain)(config).named_parameters())
        own = dict(self.plain.named_parameters())
        modules = {m for p in self.mlps.values() for m in (p.down, p.gate.module, p.up.module)}
        wider = {name for name in own if name in built and own[name].shape != built[name].shape}
        return wider == {f"{self.names[id(module)]}.weight" for module in modules}

    def _fields(self) -> tuple[str, ...]:
        """Fields of the configuration that hold the number of neurons of all MLPs."""
        widths = {mlp.down.weight.shape[1] for mlp in self.mlps.values()}
        known = {name: getattr(self.plain.config, name, None) for name in _WIDTHS}
        return tuple(name for name, width in known.items() if {width} == widths)

    def _widen(self, mlp: _Mlp, more: int, constant: Tensor | None) -> None:
        d = more // 2
        rows, column = torch.zeros(more, d).double(), torch.zeros(d).double()
        hidden = torch.zeros(d, dtype=torch.bool)
        if constant is not None and mlp.norm is not None:
            gains, hidden = mlp.norm.opened()
            rows, column = torch.cat([torch.diag(1 / gains), torch.diag(-1 / gains)]), constant / d
        columns = column[:, None].expand(-1, more)
        _set(mlp.down, torch.cat([mlp.down.weight.double(), columns], dim=1))
        fused = mlp.gate.module is mlp.up.module
        for module in {mlp.gate.module, mlp.up.module}:
            before: Any = module.weight
            kept = torch.where(hidden, 0, before.double())
            parts = kept.chunk(2) if fused else [kept]
            _set(module, torch.cat([x for part in parts for x in (part, rows)]))


def _set(module: Any, weight: Tensor) -> None:
    module.weight = parameter(weight, module.weight.dtype)
    module.out_features, module.in_features = weight.shape


def _mlps(model: Model, plain: Any) -> list[_Mlp]:
    """MLPs whose gate, up- and down-projection are linear modules without biases."""
    gated = [
        (mlp.down, mlp.gate[0], mlp.up[0]) for mlp in mlps_of(model, plain) if mlp.gate is not None
    ]
    norms = _norms(plain, [{gate.module, up.module} for _, gate, up in gated])
    return [_Mlp(down, gate, up, norm) for (down, gate, up), norm in zip(gated, norms, strict=True)]


@torch.inference_mode()
def _norms(plain: Any, readers: list[set[nn.Module]]) -> list[_Norm | None]:
    """The norm whose output each set of modules, and no other linear module, gets."""
    given: dict[nn.Module, Tensor] = {}
    got: dict[nn.Module, Tensor] = {}
    with ExitStack() as scope:
        for module in plain.modules():
            if is_norm(module) and not list(module.children()):
                handle = module.register_forward_hook(lambda m, args, out: given.update({m: out}))
                scope.callback(handle.remove)
            elif features(module) is not None:
                handle = module.register_forward_pre_hook(lambda m, args: got.update({m: args[0]}))
                scope.callback(handle.remove)
        run(plain, sentence(plain))
    found: list[_Norm | None] = []
    for modules in readers:
        x = got[next(iter(modules))]
        alike = {module for module, z in got.items() if z is x}
        own = [norm for norm, out in given.items() if out is x]
        gain = _gain(own[0], x) if own and alike == modules else None
        found.append(None if gain is None else _Norm(own[0], gain.clone()))
    return found


def _gain(norm: Any, x: Tensor) -> Float[Tensor, " d"] | None:
    """What a norm multiplies a normalised stream by; None where it has a bias or no gain."""
    d = x.shape[-1]
    signs = torch.tensor([1.0, -1.0]).repeat(d // 2 + 1)[:d]
    given = (1e3 * signs).to(x.dtype)
    gain: Tensor = norm(given[None, None])[0, 0].double() * signs
    mirrored: Tensor = norm(-given[None, None])[0, 0].double() * -signs
    return gain if gain.any() and torch.equal(gain, mirrored) else None
