"""Where in a model a constant can lie so that it does what an edit does, found by trying.

A constant vector is added to what a module gives, and what reaches the end of the block is compared
with what is wanted. So a norm behind an MLP (Gemma 2, OLMo 2), a multiplier (Granite) or a parallel
attention (Cohere) need no names here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mechsteer.errors import MechsteerError
from mechsteer.exports.plain import run, sentence
from mechsteer.model.linear import features
from mechsteer.model.sites.isolation import first_numbers


@dataclass(frozen=True)
class Carrier:
    """A module: a bias ``v / scale`` of it does what is wanted of ``v``."""

    name: str
    scale: float = 1.0


class Block:
    """What leaves a block of a plain model, or enters its first, on a few tokens.

    Args:
        plain: a plain model.
        name: of the block's module.
        before: what enters it instead.
    """

    def __init__(self, plain: Any, name: str, *, before: bool = False) -> None:
        self.plain, self.name, self._before = plain, name, before
        self.modules = dict(plain.named_modules())
        self._inputs = sentence(plain)
        self._real = self._inputs["attention_mask"].bool()
        self.as_is = self._run()
        generator = torch.Generator().manual_seed(0)
        size = 4 * float(self.as_is.float().std())
        self.c = torch.randn(self.as_is.shape[-1], generator=generator) * size

    def with_output(self) -> Tensor:
        """What is wanted of a constant that is added to the residual stream here."""
        return self.as_is + self.c.to(self.as_is.dtype)

    def with_module(self, name: str) -> Tensor:
        """What a constant that is added to what a module gives makes of it."""
        return self._run(name)

    def carrier(self, wanted: Tensor, names: Iterable[str]) -> Carrier | None:
        """The first of some modules that does what is wanted, up to a factor."""
        goal = (wanted - self.as_is).double()
        limit = 1e-3 if self.as_is.dtype == torch.float32 else 0.05
        for name in names:
            found = self.with_module(name)
            if found.shape == wanted.shape:
                moved = (found - self.as_is).double()
                scale = float((moved * goal).sum() / goal.square().sum())
                if abs(scale) > limit and (moved - scale * goal).abs().max() <= (
                    limit * abs(scale) * goal.abs().max()
                ):
                    return Carrier(name, 1.0 if abs(scale - 1) < limit else scale)
        return None

    @torch.inference_mode()
    def _run(self, name: str | None = None) -> Tensor:
        seen: list[Tensor] = []

        def leave(module: Any, args: Any, out: Any) -> None:
            seen.append((out[0] if isinstance(out, tuple) else out).detach().clone())

        def enter(module: Any, args: Any, kwargs: Any) -> None:
            x = first_numbers(args, kwargs)
            seen.extend([] if x is None else [x.detach().clone()])

        block = self.modules[self.name]
        with ExitStack() as scope:
            handles = [
                block.register_forward_pre_hook(enter, with_kwargs=True)
                if self._before
                else block.register_forward_hook(leave)
            ]
            if name is not None:
                handles.append(self.modules[name].register_forward_hook(adding(self.c)))
            for handle in handles:
                scope.callback(handle.remove)
            run(self.plain, self._inputs)
        if len(seen) != 1:
            raise MechsteerError(f"{self.name} runs {len(seen)} times in a pass, expected once")
        return seen[0][self._real]


def candidates(plain: Any, block: str, possible: Iterable[str], width: int) -> list[str]:
    """Modules of a block that give the residual stream's width and can have a bias; last first."""
    can = set(possible)
    inside = [name for name, _ in plain.named_modules() if name.startswith(f"{block}.")]
    modules = dict(plain.named_modules())
    return [name for name in reversed(inside) if name in can and _gives(modules[name], width)]


def embeddings(plain: Any, blocks: Iterable[str], possible: Iterable[str], width: int) -> list[str]:
    """Modules outside of the blocks that can carry a constant to the first: norms, positions."""
    outside = [n for n, _ in plain.named_modules() if n and not n.startswith(tuple(blocks))]
    modules, can = dict(plain.named_modules()), set(possible)
    words = plain.get_input_embeddings()
    norms = [name for name in outside if name in can and _gives(modules[name], width)]
    tables = [name for name in outside if isinstance(modules[name], nn.Embedding)]
    return [*reversed(norms), *sorted(tables, key=lambda name: modules[name] is words)]


def _gives(module: nn.Module, width: int) -> bool:
    size = features(module)
    weight = getattr(module, "weight", None)
    return size[1] == width if size else weight is not None and weight.shape == (width,)


def adding(c: Tensor) -> Callable[..., Any]:
    """A hook that adds a constant to what a module gives."""

    def add(module: Any, args: Any, out: Any) -> Any:
        first = out[0] if isinstance(out, tuple) else out
        if first.shape[-1] != len(c):
            return out
        moved = first + c.to(first.dtype)
        return (moved, *out[1:]) if isinstance(out, tuple) else moved

    return add
