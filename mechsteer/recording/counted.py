"""Which tokens a running pass counts as real: said by whoever runs it, read by edits.

A forward pass shows ids and a mask, and neither tells a prefix from its sentence. So recordings
and costs say what they count while they run a batch, and ``positions="content"`` edits just that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jaxtyping import Bool
from torch import Tensor

from mechsteer.model.interface import Model

_KEPT = "_mechsteer_real"  # where a model keeps it while the pass runs


@contextmanager
def counting(model: Model, real: Bool[Tensor, "sentence token"]) -> Iterator[None]:
    """Within, the model reads a batch whose real tokens are these."""
    with model.facts.lock:  # threads that read one model take turns
        kept = vars(model.original_model)
        kept[_KEPT] = real
        try:
            yield
        finally:
            del kept[_KEPT]


def counted_tokens(model: Model) -> Bool[Tensor, "sentence token"] | None:
    """What was said of the running pass, None where nobody said."""
    real: Tensor | None = vars(model.original_model).get(_KEPT)
    return real
