"""Sort keys: floats as unsigned integers whose ascending order is the descending order of values.

A radix sort and a bitonic network want integers, and comparing bit patterns never trips over NaN.
The key of a negative number is its bits, that of any other its bits with all but the sign flipped;
-0.0 is folded onto +0.0 first. The map is its own inverse.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class FloatFormat(NamedTuple):
    """The layout of a floating-point type.

    Its bits but the sign, shifted left by ``shift``, are the float32 of ``|value| / scale``.
    """

    width: int
    sign: int
    exponent: int
    shift: int
    scale: float


FORMATS = {
    torch.bfloat16: FloatFormat(16, 0x8000, 0x7F80, 16, 1.0),
    torch.float16: FloatFormat(16, 0x8000, 0x7C00, 13, 2.0**112),
    torch.float32: FloatFormat(32, 0x80000000, 0x7F800000, 0, 1.0),
}


def bit_view(x: Tensor) -> NDArray[Any]:
    """The bits of a CPU tensor as unsigned integers of its width and strides, not copied.

    >>> bit_view(torch.tensor([1.0, -0.0])).tolist()
    [1065353216, 2147483648]
    """
    if FORMATS[x.dtype].width == 16:
        return x.detach().view(torch.int16).numpy().view(np.uint16)
    return x.detach().view(torch.int32).numpy().view(np.uint32)


def keys(bits: NDArray[Any], form: FloatFormat) -> NDArray[Any]:
    """Descending sort keys of bit patterns, in the type of ``bits``."""
    sign = bits.dtype.type(form.sign)
    folded = np.where(bits == sign, bits.dtype.type(0), bits)
    return np.where(folded & sign, folded, folded ^ bits.dtype.type(form.sign - 1))


def values(found: NDArray[Any], form: FloatFormat) -> NDArray[np.float64]:
    """The numbers that have these keys, exactly."""
    bits = keys(found, form).astype(np.uint32)
    magnitude = ((bits & np.uint32(form.sign - 1)) << np.uint32(form.shift)).view(np.float32)
    signs = np.where(bits & np.uint32(form.sign), -form.scale, form.scale)
    return magnitude.astype(np.float64) * signs
