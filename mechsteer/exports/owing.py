"""What biases of a plain model will be increased by: constants on their way to a place."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.errors import MechsteerError
from mechsteer.exports.biases import possible
from mechsteer.exports.constant import Map, Shift
from mechsteer.exports.places import Block, Carrier, candidates, embeddings
from mechsteer.exports.plain import counterpart
from mechsteer.exports.weights import columns, parameter, scale_of, untie
from mechsteer.exports.widening import Widening
from mechsteer.model.interface import Model
from mechsteer.model.linear import own
from mechsteer.model.plain.model import PlainNorm
from mechsteer.model.sites import HookSite
from mechsteer.selftest.plain import PlainPoint


class Unbiased(MechsteerError):  # noqa: N818 - it may still be had from another class
    """No module of a model's class can carry the constant."""


class Debts:
    """Constants by the module whose bias, or embedding, will have them.

    Args:
        model: what the edits were made for.
        plain: its copy; ``pay`` alone changes it.
        wider: lets MLPs that have no bias write constants.
    """

    def __init__(self, model: Model, plain: Any, wider: Widening | None) -> None:
        self.model, self.plain, self.wider = model, plain, wider
        self.modules = dict(plain.named_modules())
        self.names = {id(module): name for name, module in self.modules.items()}
        self.sums: dict[str, Tensor] = {}

    @cached_property
    def possible(self) -> dict[str, tuple[str, ...]]:
        """Modules that can have a bias, see ``mechsteer.exports.biases``."""
        return possible(self.plain)

    def owe_input(self, at: PlainPoint, part: Map) -> None:
        """What a module makes of a constant that is added to what it takes.

        Raises:
            Unbiased: nothing carries it.
        """
        b = torch.where(part.a == 0, part.b.to(self.plain.dtype).double(), part.b)
        if b.any():
            name = self.names[id(at.module)]
            self._owe(self._carrier_of(name, part.point), columns(at.module).double() @ b)

    def owe_shift(self, part: Shift) -> None:
        """What is added to the residual stream.

        Raises:
            Unbiased: nothing carries it.
        """
        stack = self.model.stack(part.point.stack)
        row, last = part.point.layer, len(stack.blocks)
        if row > last and stack.norm is not None:
            norm = stack.norm[1]
            inside = norm.module if isinstance(norm, PlainNorm) else own(norm)
            name, _ = counterpart(self.model, self.plain, inside)
            if name not in self.possible:
                raise self.unbiased(f"{name}, the final norm, has no bias")
            self._owe(Carrier(name), part.v)
        elif row == 0:
            self._owe_embedding(part)
        else:
            self._owe_block(self._block(part.point.stack, min(row, last) - 1), part)

    def widens(self, name: str) -> bool:
        """Whether a constant of a module is written by neurons of its MLP."""
        return name not in self.possible and self.wider is not None and self.wider.can(name)

    def is_table(self, name: str) -> bool:
        """Whether it is an embedding."""
        return isinstance(self.modules[name], nn.Embedding)

    def pay(self, name: str) -> None:
        """Write a module's constant; it has a bias by now."""
        module, debt = self.modules[name], self.sums[name]
        if not self.is_table(name):
            module.bias = parameter(module.bias.double() + debt, self.plain.dtype)
            return
        scale = 1.0
        if module is self.plain.get_input_embeddings():
            untie(self.plain)
            scale = scale_of(module)
        weight = module.weight.double() + debt / scale
        module.weight = parameter(weight, self.plain.dtype)

    def unbiased(self, why: str) -> Unbiased:
        """The refusal of a constant that has no place."""
        kind = type(self.plain).__name__
        return Unbiased(
            f"{kind} has no place for the constant of this edit ({why}, and transformers loads "
            "none there); edits that only scale neurons (damp, zero, aura) need none"
        )

    def _carrier_of(self, name: str, point: HookSite) -> Carrier:
        if name in self.possible or self.widens(name):
            return Carrier(name)
        block = Block(self.plain, self._block(point.stack, point.layer))
        names = candidates(self.plain, block.name, self.possible, len(block.c))
        if found := block.carrier(block.with_module(name), names):
            return found
        raise self.unbiased(f"{name} has no bias, and nothing beside it adds to the same sum")

    def _owe_block(self, name: str, part: Shift) -> None:
        block = Block(self.plain, name)
        names = candidates(self.plain, name, self.possible, len(block.c))
        wide = [n for n in self.modules if n.startswith(f"{name}.") and self.widens(n)]
        found = block.carrier(block.with_output(), [*names, *wide])
        if found is None:
            raise self.unbiased(f"nothing in {name} adds a bias that no norm changes")
        self._owe(found, part.v)

    def _owe_embedding(self, part: Shift) -> None:
        stack = self.model.stack(part.point.stack)
        blocks = [self._block(stack.name, layer) for layer in range(len(stack.blocks))]
        block = Block(self.plain, blocks[0], before=True)
        names = embeddings(self.plain, blocks, self.possible, len(block.c))
        found = block.carrier(block.with_output(), names)
        if found is None or (self.is_table(found.name) and self.model.is_encoder_decoder):
            raise self.unbiased("no embedding of its own carries a constant to the first block")
        self._owe(found, part.v)

    def _owe(self, carrier: Carrier, constant: Float[Tensor, " d"]) -> None:
        debt = constant / carrier.scale
        self.sums[carrier.name] = self.sums.get(carrier.name, torch.zeros_like(debt)) + debt

    def _block(self, stack: str, layer: int) -> str:
        block = self.model.stack(stack).blocks[layer]
        module = block if isinstance(block, nn.Module) else block.original_component
        return counterpart(self.model, self.plain, module)[0]
