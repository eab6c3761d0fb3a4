"""The building of a model, stopped once it asks for far more than its files hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from threading import get_ident
from typing import Any

from torch import nn
from torch.nn.modules import module as hooks

from mechsteer.display import count
from mechsteer.errors import ModelError
from mechsteer.model.held import (
    FEW_NUMBERS,
    TIMES,
    Held,
    declared_by,
    grouped,
    held_by,
    whole_numbers,
)
from mechsteer.model.reasons import ONE_MODEL, local_folder

# what is harmless, whatever is held; some models have a mask of all positions in every layer, and
# some compute each number of a table of positions in Python
_FEW_PARTS, _FEW_WEIGHTS = 1 << 14, 1 << 24


@contextmanager
def bounded_by(name: str, revision: str | None = None) -> Iterator[None]:
    """Stop what builds a model in the block once it asks for far more than its files hold.

    They are looked at when the first tensor is asked for: a published model's are there by then.

    Args:
        name: a published model's name or a checkpoint folder.
        revision: of a published model.

    Raises:
        ModelError: inside the block; the part that went too far is named.
    """

    def known() -> tuple[Held | None, Mapping[str, Any]]:
        folder = local_folder(name, revision)
        return (None, {}) if folder is None else (held_by(folder), declared_by(folder))

    with bounded(known):
        yield


@contextmanager
def bounded(known: Callable[[], tuple[Held | None, Mapping[str, Any]]]) -> Iterator[None]:
    """As ``bounded_by``: 16 times as many weights, or 64 modules a tensor; 2²⁴ or 2¹⁴ always.

    Buffers are bounded as weights are, with 2²⁸ always.

    Args:
        known: what the files hold, None for no bound, and the configuration as JSON, to name the
            setting that is too large; asked once, when the first tensor is registered.

    Raises:
        ModelError: inside the block.
    """
    counter = _Count(known, get_ident())
    handles = (
        hooks.register_module_parameter_registration_hook(counter.weight),
        hooks.register_module_buffer_registration_hook(counter.buffer),
        hooks.register_module_module_registration_hook(counter.part),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Count:
    """Counts what a thread registers in modules."""

    def __init__(self, known: Callable[[], Any], thread: int) -> None:
        self._known = known
        self._thread = thread
        self._weights = self._buffers = self._parts = 0

    @cached_property
    def _held(self) -> tuple[Held | None, Mapping[str, Any]]:
        found: tuple[Held | None, Mapping[str, Any]] = self._known()
        return found

    def weight(self, owner: nn.Module, name: str, tensor: Any) -> None:
        if tensor is not None and get_ident() == self._thread:
            self._weights += tensor.numel()
            self._require(self._weights, _FEW_WEIGHTS, owner, name, [*tensor.shape])

    def buffer(self, owner: nn.Module, name: str, tensor: Any) -> None:
        if tensor is not None and get_ident() == self._thread:
            self._buffers += tensor.numel()
            self._require(self._buffers, FEW_NUMBERS, owner, name, [*tensor.shape])

    def _require(self, numbers: int, few: int, owner: nn.Module, name: str, shape: Any) -> None:
        if numbers <= few or (held := self._held[0]) is None:
            return
        if numbers > (most := max(few, TIMES * held.numbers)):
            raise ModelError(
                f"its configuration declares more than {most:,} weights{self._by(shape)}, "
                f"up to {name} of {type(owner).__name__}, which is {shape}, and {held.where} holds "
                f"{held.numbers:,}: {ONE_MODEL}"
            )

    def part(self, owner: nn.Module, name: str, part: Any) -> None:
        del name, part
        if get_ident() != self._thread:
            return
        self._parts += 1
        if self._parts <= _FEW_PARTS or (held := self._held[0]) is None:
            return
        if self._parts > (most := max(_FEW_PARTS, 4 * TIMES * held.tensors)):
            by = self._by([len(owner._modules)])
            raise ModelError(
                f"its configuration declares more than {most:,} modules{by}, "
                f"up to one of {type(owner).__name__}, and {held.where} holds "
                f"{count(held.tensors, 'tensor')}: {ONE_MODEL}"
            )

    def _by(self, shape: list[int]) -> str:
        """The setting that is the largest of a shape, or near it, in words."""
        largest = max(shape, default=0)
        named = [(p, v) for p, v in whole_numbers(self._held[1]) if largest <= v + 2 <= largest + 4]
        return f" ({named[0][0]} = {grouped(named[0][1])})" if named else ""
