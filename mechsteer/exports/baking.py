"""Constant edits written into the weights of a plain model: scaled weights, and biases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.errors import MechsteerError
from mechsteer.exports.biases import give, possible, richer
from mechsteer.exports.constant import Constant, Map, Shift
from mechsteer.exports.holding import Given, Holding
from mechsteer.exports.places import Block, Carrier, candidates, embeddings
from mechsteer.exports.plain import counterpart
from mechsteer.exports.weights import (
    columns,
    map_output,
    parameter,
    scale_columns,
    scale_of,
    untie,
)
from mechsteer.exports.widening import Widening
from mechsteer.model.interface import Model
from mechsteer.model.linear import own
from mechsteer.model.sites import HookSite
from mechsteer.selftest.plain import Plain, PlainPoint, plain_point


class Unbiased(MechsteerError):  # noqa: N818 - it may still be had from another class
    """No module of a model's class can carry the constant."""


@dataclass(frozen=True)
class Baked:
    """A plain model with edits in its weights.

    Attributes:
        plain: the model.
        switches: fields of its configuration that were turned on for biases.
        carriers: modules that carry a constant.
        widened: how many neurons each MLP has more.
    """

    plain: Any
    switches: tuple[str, ...]
    carriers: tuple[str, ...]
    widened: int = 0


def bake(model: Model, plain: Any, parts: Iterable[Constant], *, widen: bool = False) -> Baked:
    """Write constant edits into a plain model.

    Neurons that get a value are held by the biases before them where there are some (``holding``):
    equal to the bit. Else a map ``z ← a·z + b`` of what a linear module takes scales its columns by
    ``a`` and adds ``W b`` to its bias; of what it gives, it scales rows and bias, and adds ``b``. A
    shift ``v`` of the residual stream adds ``v`` to the bias that reaches the stream there without
    a norm behind it. Sums are float64, rounded once to the weights' precision; values that replace
    an activation are rounded as the activation is.

    Args:
        model: what the edits were made for.
        plain: its copy, which is changed.
        parts: one a hook point.
        widen: where nothing has a bias, add neurons that are constant, see ``widening``.

    Raises:
        MechsteerError: a constant has no place; the message says which and why.
    """
    parts = list(parts)
    reason = ""
    for target in (plain, richer(plain)):
        if target is not None:
            try:
                return _Baker(model, target, parts).write()
            except Unbiased as refusal:
                reason = reason or str(refusal)  # not the error, whose frames hold the model
    wider = Widening(model, plain)
    try:
        baker = _Baker(model, plain, parts, wider)
    except Unbiased:
        raise Unbiased(reason) from None
    if not widen:
        raise Unbiased(
            f"{reason}; with widen (--widen), {wider.more} more neurons in each MLP hold it"
        )
    return baker.write()


class _Baker:
    """One plain model on its way; nothing is changed before every constant has its place."""

    def __init__(
        self, model: Model, plain: Any, parts: list[Constant], wider: Widening | None = None
    ) -> None:
        self.model, self.plain, self.wider = model, plain, wider
        self.modules = dict(plain.named_modules())
        self.names = {id(module): name for name, module in self.modules.items()}
        self.debts: dict[str, Tensor] = {}
        maps = [(self._point(p.point), p) for p in parts if isinstance(p, Map)]
        self.maps = self._held(
            [m for m in maps if m[0].before], [m for m in maps if not m[0].before]
        )
        for at, part in self.maps:
            if at.before:
                self._owe_input(at, part)
            else:
                self._require_bias(at, part)
        for shift in (part for part in parts if isinstance(part, Shift)):
            self._owe_shift(shift)

    def write(self) -> Baked:
        """Change the model."""
        moved = [(at, part) for at, part in self.maps if not at.before]
        outputs = [self.names[id(at.module)] for at, part in moved if part.b.any()]
        carriers = tuple(dict.fromkeys((*self.debts, *outputs)))
        wide = {name: self.debts.pop(name) for name in carriers if self._widens(name)}
        given = [name for name in (*self.debts, *outputs) if not self._is_table(name)]
        switches = give(self.plain, given)
        for at, part in self.maps:
            if at.before:
                scale_columns(at.module, part.a, self.plain.dtype)
        for name, debt in self.debts.items():
            self._pay(name, debt)
        for at, part in moved:
            map_output(at, part)
        if not wide or self.wider is None:
            return Baked(self.plain, switches, carriers)
        fields = self.wider.apply(wide)
        return Baked(self.plain, (*switches, *fields), carriers, self.wider.more)

    def _widens(self, name: str) -> bool:
        """Whether a constant of a module is written by neurons of its MLP."""
        return name not in self._possible and self.wider is not None and self.wider.can(name)

    @cached_property
    def _possible(self) -> dict[str, tuple[str, ...]]:
        return possible(self.plain)

    def _point(self, point: HookSite) -> PlainPoint:
        found = plain_point(self.model, Plain(self.plain, ""), point)
        if found is None:
            raise MechsteerError(f"{point.hook} is inside no linear module of the plain model")
        return found

    def _held(self, taken: list[Given], given: list[Given]) -> list[Given]:
        """What is taken, and then what is given, where biases before them hold neurons."""
        if not any((part.b[part.a == 0] != 0).any() for _, part in taken):
            return taken + given
        holding, left, before = Holding(self.model, self.plain), [], []
        for at, part in taken:
            rest, holds = holding.split(at, part)
            can = all(self.names[id(to.module)] in self._possible for to, _ in holds)
            left.append((at, rest if can else part))
            before += holds if can else []
        return left + given + before

    def _owe_input(self, at: PlainPoint, part: Map) -> None:
        b = torch.where(part.a == 0, part.b.to(self.plain.dtype).double(), part.b)
        if b.any():
            name = self.names[id(at.module)]
            constant = columns(at.module).double() @ b
            self._owe(self._carrier_of(name, part.point), constant)

    def _require_bias(self, at: PlainPoint, part: Map) -> None:
        name = self.names[id(at.module)]
        if part.b.any() and name not in self._possible:
            raise self._unbiased(f"{name} has no bias")

    def _carrier_of(self, name: str, point: HookSite) -> Carrier:
        if name in self._possible or self._widens(name):
            return Carrier(name)
        block = Block(self.plain, self._block(point.stack, point.layer))
        names = candidates(self.plain, block.name, self._possible, len(block.c))
        if found := block.carrier(block.with_module(name), names):
            return found
        raise self._unbiased(f"{name} has no bias, and nothing beside it adds to the same sum")

    def _owe_shift(self, part: Shift) -> None:
        stack = self.model.stacks[0]
        row, last = part.point.layer, len(stack.blocks)
        norm = self.model.stack(stack.name).norm
        if row > last and norm is not None:
            name, _ = counterpart(self.model, self.plain, own(norm[1]))
            if name not in self._possible:
                raise self._unbiased(f"{name}, the final norm, has no bias")
            self._owe(Carrier(name), part.v)
        elif row == 0:
            self._owe_embedding(part)
        else:
            name = self._block(stack.name, min(row, last) - 1)
            block = Block(self.plain, name)
            names = candidates(self.plain, name, self._possible, len(block.c))
            wide = [n for n in self.modules if n.startswith(f"{name}.") and self._widens(n)]
            found = block.carrier(block.with_output(), [*names, *wide])
            if found is None:
                raise self._unbiased(f"nothing in {name} adds a bias that no norm changes")
            self._owe(found, part.v)

    def _owe_embedding(self, part: Shift) -> None:
        stack = self.model.stacks[0]
        blocks = [self._block(stack.name, layer) for layer in range(len(stack.blocks))]
        block = Block(self.plain, blocks[0], before=True)
        names = embeddings(self.plain, blocks, self._possible, len(block.c))
        found = block.carrier(block.with_output(), names)
        if found is None or self._is_shared(found.name):
            raise self._unbiased("no embedding of its own carries a constant to the first block")
        self._owe(found, part.v)

    def _owe(self, carrier: Carrier, constant: Float[Tensor, " d"]) -> None:
        debt = constant / carrier.scale
        self.debts[carrier.name] = self.debts.get(carrier.name, torch.zeros_like(debt)) + debt

    def _pay(self, name: str, debt: Float[Tensor, " d"]) -> None:
        module = self.modules[name]
        if not self._is_table(name):
            module.bias = parameter(module.bias.double() + debt, self.plain.dtype)
            return
        scale = 1.0
        if module is self.plain.get_input_embeddings():
            untie(self.plain)
            scale = scale_of(module)
        weight = module.weight.double() + debt / scale
        module.weight = parameter(weight, self.plain.dtype)

    def _block(self, stack: str, layer: int) -> str:
        block = self.model.stack(stack).blocks[layer]
        module = block if isinstance(block, nn.Module) else block.original_component
        return counterpart(self.model, self.plain, module)[0]

    def _is_table(self, name: str) -> bool:
        return isinstance(self.modules[name], nn.Embedding)

    def _is_shared(self, name: str) -> bool:
        """Whether an embedding serves two stacks."""
        return self._is_table(name) and self.model.is_encoder_decoder

    def _unbiased(self, why: str) -> Unbiased:
        kind = type(self.plain).__name__
        return Unbiased(
            f"{kind} has no place for the constant of this edit ({why}, and transformers loads "
            "none there); edits that only scale neurons (damp, zero, aura) need none"
        )
