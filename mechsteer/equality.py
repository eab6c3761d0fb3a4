"""Records of tensors and tables: equal where every field is, in type, shape and every number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import isnan
from typing import Any

from torch import Tensor


class ByValue:
    """``==`` of a dataclass with tensors or tables, for use with ``@dataclass(eq=False)``.

    The ``==`` that dataclasses make asks a tensor or a table of many answers for one, and raises.
    Fields with ``compare=False`` take no part, and what is no number (the deviation of a single
    sentence) is equal to itself. Equal records have one hash, that of their line.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields(self) if field.compare]  # type: ignore[arg-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        return hash(repr(self))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and _same_numbers(a.cpu(), b.cpu())
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if type(a) is not type(b):
        return False
    if hasattr(a, "equals"):  # pandas has its own word
        return bool(a.equals(b))
    return bool(a == b) or (isinstance(a, float) and isnan(a) and isnan(b))


def _same_numbers(a: Tensor, b: Tensor) -> bool:
    return bool(((a == b) | (a.isnan() & b.isnan())).all())
