"""What attention heads give: how large it is, what its mean is, and its numbers in a row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import SiteError

NORMS, MEANS, FLAT = "norms", "means", "flat"


class Flat:
    """The numbers of an activation in a row, whether it is split by head or not."""

    def read(self, h: Float[Tensor, "sentence token *rest"]) -> Float[Tensor, "sentence token n"]:
        """All after the token's axis as one axis."""
        return h.flatten(2)

    def write(self, h: Tensor, z: Tensor, new: Tensor) -> Tensor:
        """The new numbers in the old shape."""
        return new.view_as(h)


@dataclass(frozen=True)
class Heads:
    """The heads of one layer, by one number each.

    Attributes:
        n: number of heads.
        norms: whether the number is the Euclidean norm of what a head gives; else its mean.
    """

    n: int
    norms: bool

    def read(self, h: Float[Tensor, "sentence token *rest"]) -> Float[Tensor, "sentence token n"]:
        """The number of each head, in float32."""
        split = self._split(h).float()
        return split.norm(dim=-1) if self.norms else split.mean(-1)

    def write(self, h: Tensor, z: Tensor, new: Tensor) -> Tensor:
        """Each head scaled to its new norm, or moved to its new mean.

        A head that gives 0 has no direction and stays 0, whatever norm is asked for.
        """
        split = self._split(h).float()
        if self.norms:
            out = split * torch.where(z > 0, new / z, 1)[..., None]
        else:
            out = split + (new - z)[..., None]
        return out.view_as(h).to(h.dtype)

    def _split(self, h: Tensor) -> Tensor:
        """``[sentence, token, head, d_head]``."""
        if h.ndim > 3 and h.shape[2] != self.n:
            raise SiteError(f"a layer has {h.shape[2]} heads, its configuration says {self.n}")
        return h.reshape(*h.shape[:2], self.n, -1)


def of_word(word: str) -> Flat | Heads:
    """What the last word of a hook point's name asks for: ``"flat"``, ``"norms:8"``."""
    name, _, n = word.partition(":")
    return Flat() if name == FLAT else Heads(int(n), name == NORMS)
