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
from mechsteer.exports.places import Block, Carrier, candidates, embeddings
from mechsteer.exports.plain import counterpart
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
    """

    plain: Any
    switches: tuple[str, ...]
    carriers: tuple[str, ...]


def bake(model: Model, plain: Any, parts: Iterable[Constant]) -> Baked:
    """Write constant edits into a plain model.

    A map ``z ← a·z + b`` of what a linear module takes scales its columns by ``a`` and adds
    ``W b`` to its bias; of what it gives, it scales rows and bias, and adds ``b``. A shift ``v`` of
    the residual stream adds ``v`` to the bias that reaches the stream there without a norm behind
    it. Sums are float64, rounded once to the weights' precision; values that replace an activation
    are rounded as the activation is.

    Args:
        model: what the edits were made for.
        plain: its copy, which is changed.
        parts: one a hook point.

    Raises:
        MechsteerError: a constant has no place; the message says which and why.
    """
    parts = list(parts)
    try:
        return _Baker(model, plain).bake(parts)
    except Unbiased:
        other = richer(plain)
        if other is None:
            raise
        return _Baker(model, other).bake(parts)


class _Baker:
    """One plain model on its way; nothing is changed before every constant has its place."""

    def __init__(self, model: Model, plain: Any) -> None:
        self.model, self.plain = model, plain
        self.modules = dict(plain.named_modules())
        self.names = {id(module): name for name, module in self.modules.items()}
        self.debts: dict[str, Tensor] = {}

    def bake(self, parts: list[Constant]) -> Baked:
        maps = [(self._point(part.point), part) for part in parts if isinstance(part, Map)]
        maps.sort(key=lambda pair: not pair[0].before)  # what a module takes, then what it gives
        for at, part in maps:
            if at.before:
                self._owe_input(at, part)
            else:
                self._require_bias(at, part)
        for shift in (part for part in parts if isinstance(part, Shift)):
            self._owe_shift(shift)
        outputs = [self.names[id(at.module)] for at, p in maps if not at.before and p.b.any()]
        given = [name for name in (*self.debts, *outputs) if not self._is_table(name)]
        switches = give(self.plain, given)
        for at, part in maps:
            if at.before:
                _scale(at.module, part.a, self.plain.dtype)
        for name, debt in self.debts.items():
            self._pay(name, debt)
        for at, part in maps:
            if not at.before:
                _map_output(at, part)
        return Baked(self.plain, switches, tuple(dict.fromkeys((*self.debts, *outputs))))

    @cached_property
    def _possible(self) -> dict[str, tuple[str, ...]]:
        return possible(self.plain)

    def _point(self, point: HookSite) -> PlainPoint:
        found = plain_point(self.model, Plain(self.plain, ""), point)
        if found is None:
            raise MechsteerError(f"{point.hook} is inside no linear module of the plain model")
        return found

    def _owe_input(self, at: PlainPoint, part: Map) -> None:
        b = torch.where(part.a == 0, part.b.to(self.plain.dtype).double(), part.b)
        if b.any():
            name = self.names[id(at.module)]
            constant = _columns(at.module).double() @ b
            self._owe(self._carrier_of(name, part.point), constant)

    def _require_bias(self, at: PlainPoint, part: Map) -> None:
        name = self.names[id(at.module)]
        if part.b.any() and name not in self._possible:
            raise self._unbiased(f"{name} has no bias")

    def _carrier_of(self, name: str, point: HookSite) -> Carrier:
        if name in self._possible:
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
            found = block.carrier(block.with_output(), names)
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
            module.bias = _parameter(module.bias.double() + debt, self.plain.dtype)
            return
        scale = 1.0
        if module is self.plain.get_input_embeddings():
            _untie(self.plain)
            scale = _scale_of(module)
        weight = module.weight.double() + debt / scale
        module.weight = _parameter(weight, self.plain.dtype)

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
            f"this edit adds a constant, and {kind} has no place for it: {why}, and transformers "
            "loads none there; edits that only scale neurons (damp, zero, aura) can be exported, "
            "others act through mechsteer alone"
        )


def _columns(module: Any) -> Float[Tensor, "out neuron"]:
    """The weight as a map of column vectors, however it is stored."""
    return module.weight.T if hasattr(module, "nf") else module.weight  # type: ignore[no-any-return]


def _parameter(value: Tensor, dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(value.to(dtype), requires_grad=False)


def _scale(module: Any, a: Float[Tensor, " neuron"], dtype: torch.dtype) -> None:
    by = a[:, None] if hasattr(module, "nf") else a
    scaled = module.weight.double() * by
    module.weight = _parameter(torch.where(by == 1, module.weight.double(), scaled), dtype)


def _map_output(at: PlainPoint, part: Map) -> None:
    module: Any = at.module
    rows = slice(*at.columns)
    weight = _columns(module).double().clone()
    weight[rows] *= part.a[:, None]
    stored = weight.T if hasattr(module, "nf") else weight
    if module.bias is not None:
        bias = module.bias.double().clone()
        bias[rows] = part.a * bias[rows] + part.b
        module.bias = _parameter(bias, module.weight.dtype)
    module.weight = _parameter(stored, module.weight.dtype)


def _untie(plain: Any) -> None:
    """Let the unembedding keep the embedding's words as they are."""
    head, words = plain.get_output_embeddings(), plain.get_input_embeddings()
    if head is not None and head.weight is words.weight:
        head.weight = _parameter(words.weight.clone(), plain.dtype)
    plain.config.tie_word_embeddings = False


def _scale_of(table: nn.Embedding) -> float:
    """What an embedding multiplies its words by, as Gemma's do."""
    word = table.weight.detach()[:8]
    with torch.no_grad():
        given = table(torch.arange(len(word)))
    return float((given.double() * word.double()).sum() / word.double().square().sum())
