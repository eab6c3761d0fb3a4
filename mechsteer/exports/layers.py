"""Layers of their own for vectors of the residual stream: the hook's very sum, ``h + v``.

A block whose weights are 0 gives back what it gets; one bias in it, and it adds ``v``. In a bias
of the block that is there, ``v`` is added to the MLP's output before the residual stream is, and
sums in another order round otherwise. Only the number of layers in ``config.json`` changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mechsteer.errors import ModelError
from mechsteer.exports.constant import Shift
from mechsteer.exports.fitting import fit
from mechsteer.exports.lengthening import Unlayered, lengthen
from mechsteer.exports.places import adding, candidates
from mechsteer.exports.plain import counterpart, result, run, sentence
from mechsteer.exports.weights import parameter
from mechsteer.interventions.download import first_line
from mechsteer.model.interface import Model
from mechsteer.model.sites.isolation import first_numbers

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Layer:
    """One more block.

    Attributes:
        blocks: name of the list of blocks it goes to.
        index: the block before which it comes, counted before any is inserted.
        like: number of the block beside it whose modules it has.
        carrier: the module inside that has the bias.
        weights: its biases, and gains of its norms, by name; all else is 0.
        v: what it adds.
    """

    blocks: str
    index: int
    like: int
    carrier: str
    weights: dict[str, Tensor]
    v: Tensor

    @property
    def source(self) -> str:
        """Name of the block whose modules it has."""
        return f"{self.blocks}.{self.like}"


class Layers:
    """Blocks that only add a vector, for a plain model.

    Args:
        model: the model whose copy it is.
        plain: the copy; ``insert`` alone changes it.
        possible: names of its modules that can have a bias.
    """

    def __init__(self, model: Model, plain: Any, possible: Iterable[str]) -> None:
        self.model, self.plain, self.possible = model, plain, set(possible)
        self._calls: dict[str, Call] = {}

    def layer(self, shift: Shift) -> Layer | None:
        """The block that adds a vector where a shift does; None where none can."""
        stack = self.model.stack(shift.point.stack)
        row, last = shift.point.layer, len(stack.blocks)
        if row > last and stack.norm is not None:
            return None
        index = min(row, last)
        blocks, _, number = self._name(stack.blocks[0]).rpartition(".")
        if number != "0":
            return None
        like = _neighbour(self.plain.get_submodule(blocks), index)
        name = f"{blocks}.{like}"
        block = _silent(self.plain.get_submodule(name))
        inside = candidates(self.plain, name, self.possible, len(shift.v))
        for carrier in (module.removeprefix(f"{name}.") for module in inside):
            v = self._carried(block, carrier, name, shift.v.to(self.plain.dtype))
            if v is not None:
                weights = {n: p.data for n, p in block.named_parameters() if p.dim() == 1}
                return Layer(blocks, index, like, carrier, weights, v)
        return None

    def insert(self, layers: Iterable[Layer]) -> list[nn.Module]:
        """Change the plain model and its configuration; returns the modules that have the biases.

        Raises:
            Unlayered: no configuration makes such a model, or it computes something else.
        """
        layers = list(layers)
        if not layers:
            return []
        wanted = _logits(self.plain, layers)
        blocks = [_block(self.plain.get_submodule(layer.source), layer) for layer in layers]
        for name in dict.fromkeys(layer.blocks for layer in layers):
            pairs = zip(layers, blocks, strict=True)
            new = [
                (layer.index, layer.like, block) for layer, block in pairs if layer.blocks == name
            ]
            lengthen(self.plain, name, new)
        try:
            same = torch.equal(_logits(self.plain, ()), wanted)
        except ModelError:  # a cache of another size, say
            same = False
        if not same:
            raise Unlayered(f"{type(self.plain).__name__} counts its layers")
        return [b.get_submodule(at.carrier) for at, b in zip(layers, blocks, strict=True)]

    def _carried(self, block: Any, carrier: str, name: str, v: Tensor) -> Tensor | None:
        """What a silent block adds to all that it gets, with a bias there; None if not ``v``."""
        call = self._call(name)
        h = first_numbers(*call)
        module = block.get_submodule(carrier)
        kept = module.bias
        if h is not None:
            given = fit(block, module, lambda: _output(block, call, torch.zeros_like(h)), v)
            if given is not None and torch.equal(
                _output(block, call, h), h.reshape(-1, len(v)) + given
            ):
                return given
        module.bias = kept
        return None

    def _call(self, name: str) -> Call:
        """What a block of the plain model gets on a few tokens."""
        if not self._calls:
            blocks = [self._name(b) for stack in self.model.stacks for b in stack.blocks]
            self._calls = _calls(self.plain, blocks)
        return self._calls[name]

    def _name(self, block: Any) -> str:
        module = block if isinstance(block, nn.Module) else block.original_component
        return counterpart(self.model, self.plain, module)[0]


@torch.inference_mode()
def _calls(plain: Any, names: Iterable[str]) -> dict[str, Call]:
    """What blocks get on a few tokens."""
    calls: dict[str, Call] = {}
    with ExitStack() as scope:
        for name in names:

            def keep(module: Any, args: Any, kwargs: Any, name: str = name) -> None:
                calls[name] = (
                    tuple(_uncached(x) for x in args),
                    {k: _uncached(x) for k, x in kwargs.items()},
                )

            block = plain.get_submodule(name)
            handle = block.register_forward_pre_hook(keep, with_kwargs=True)
            scope.callback(handle.remove)
        run(plain, sentence(plain))
    return calls


def _uncached(x: Any) -> Any:
    """No cache, which would go on from what it has seen."""
    return None if "Cache" in type(x).__name__ else x


@torch.inference_mode()
def _output(block: Any, call: Call, h: Tensor) -> Float[Tensor, "token d"]:
    """What leaves a block that gets another residual stream."""
    args, kwargs = _streamed(*call, lambda _: h)
    try:
        out = block(*args, **kwargs)
    except Exception as error:
        raise ModelError(f"{type(block).__name__} does not run: {first_line(error)}") from None
    first: Tensor = out[0] if isinstance(out, tuple) else out
    return first.reshape(-1, first.shape[-1])


def _streamed(args: Any, kwargs: dict[str, Any], change: Callable[[Tensor], Tensor]) -> Call:
    """Arguments of a block with the residual stream changed."""
    if args:
        return (change(args[0]), *args[1:]), kwargs
    return args, kwargs | {"hidden_states": change(kwargs["hidden_states"])}


def _neighbour(blocks: Any, index: int) -> int:
    """The block before a place, or the one behind it if that has modules of its own, as firsts."""
    names = [frozenset(name for name, _ in block.named_parameters()) for block in blocks]
    before = max(index - 1, 0)
    return index if index < len(names) and names.count(names[before]) == 1 else before


def _silent(block: nn.Module) -> Any:
    """A block that adds nothing: weights and biases are 0, gains of norms stay."""
    silent = deepcopy(block)
    for name, weight in silent.named_parameters():
        if weight.dim() > 1 or name.endswith("bias"):
            weight.data.zero_()
    return silent


def _block(like: nn.Module, layer: Layer) -> nn.Module:
    """What is inserted, with all biases that its neighbours have."""
    block: nn.Module = _silent(like)
    for name, weight in layer.weights.items():
        module, _, field = name.rpartition(".")
        setattr(block.get_submodule(module), field, parameter(weight, weight.dtype))
    return block


@torch.inference_mode()
def _logits(plain: Any, layers: Iterable[Layer]) -> Tensor:
    """Logits, or last hidden states, with what layers add added by hooks."""
    inputs = sentence(plain)
    with ExitStack() as scope:
        for layer in layers:
            block = plain.get_submodule(f"{layer.blocks}.{max(layer.index - 1, 0)}")
            if layer.index:
                handle = block.register_forward_hook(adding(layer.v))
            else:
                handle = block.register_forward_pre_hook(_entering(layer.v), with_kwargs=True)
            scope.callback(handle.remove)
        out = run(plain, inputs)
    return result(out, inputs["attention_mask"])


def _entering(v: Tensor) -> Callable[..., Call]:
    return lambda module, args, kwargs: _streamed(args, kwargs, lambda h: h + v)
