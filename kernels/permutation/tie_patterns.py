"""Which neurons share a null distribution: those whose activations tie in the same pattern."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..common.keys import FORMATS, bit_view, keys

_CHUNK_ELEMENTS = 1 << 22


def tie_patterns(rows: Float[Tensor, "neuron sentence"]) -> list[list[int]]:
    """Group neurons by the lengths of their runs of equal activations, from the highest down."""
    groups: dict[bytes, list[int]] = {}
    step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
    for first in range(0, len(rows), step):
        chunk = rows[first : first + step].cpu().contiguous()
        ordered = np.sort(keys(bit_view(chunk), FORMATS[rows.dtype]), axis=1)
        tied = np.packbits(ordered[:, 1:] == ordered[:, :-1], axis=1)
        for neuron, pattern in enumerate(tied, start=first):
            name = blake2b(pattern.tobytes(), digest_size=16).digest()
            groups.setdefault(name, []).append(neuron)
    return list(groups.values())
