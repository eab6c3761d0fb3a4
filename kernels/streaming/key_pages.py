"""Counts of keys in pages, of which only those that were touched exist."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

PAGES, KEYS = 512, 128
"""Pages of a neuron, and neighbouring keys of a page."""


def memory(n_neurons: int, n_classes: int, n_pages: int) -> int:
    """Bytes of the table and of so many pages, and one that stays empty."""
    return 4 * (n_neurons * PAGES + (n_pages + 1) * KEYS * n_classes)


class KeyPages:
    """A table of page numbers ``[neuron, page]``, -1 where there is none, and the pages.

    ``pages[table[neuron, key // 128], key % 128, label]`` counts; the last page stays zero, and -1
    reads it. While the pages grow, old and new ones are held for a moment.

    Args:
        n_neurons: Rows of the table.
        n_classes: Counts of a key.
        budget: Bytes that table and pages may take.
        device: Where they live.
    """

    def __init__(
        self, n_neurons: int, n_classes: int, budget: int | None, device: torch.device | str
    ) -> None:
        self.budget, self.n_pages = budget, 0
        self._allow(0, n_neurons, n_classes)
        self.table = torch.full((n_neurons, PAGES), -1, dtype=torch.int32, device=device)
        self.pages = torch.zeros(1, KEYS, n_classes, dtype=torch.int32, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes that table and pages take now."""
        return self.table.nbytes + self.pages.nbytes

    def fill(self, table: Tensor, pages: Tensor) -> None:
        """Take over a table that numbers all of the pages.

        Raises:
            ValueError: More pages than the budget holds.
        """
        self._allow(len(pages), *self._shape)
        self._grow(len(pages))
        self.table.copy_(table)
        self.pages[: len(pages)] = pages.to(self.pages.device)
        self.n_pages = len(pages)

    def open(self, wanted: Bool[Tensor, "neuron page"]) -> None:
        """Make every wanted page that does not exist yet.

        Raises:
            ValueError: More pages than the budget holds; nothing is changed then.
        """
        new = wanted & (self.table < 0)
        total = self.n_pages + int(new.sum())
        self._allow(total, *self._shape)
        if total >= len(self.pages):
            self._grow(total + self._spare(total))
        self.table[new] = torch.arange(
            self.n_pages, total, dtype=torch.int32, device=self.table.device
        )
        self.n_pages = total

    def add(self, other: KeyPages) -> None:
        """Add the counts of ``other``, of the same shape and on any device."""
        table = other.table.to(self.table.device)
        used = table >= 0
        self.open(used)
        added = other.pages[other.table[other.table >= 0].long()].to(self.pages.device)
        self.pages[self.table[used].long()] += added

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.table), self.pages.shape[2]

    def _allow(self, n_pages: int, n_neurons: int, n_classes: int) -> None:
        needed = memory(n_neurons, n_classes, n_pages)
        if self.budget is not None and needed > self.budget:
            each = memory(1, n_classes, -(-n_pages // n_neurons))
            most = memory(n_neurons, n_classes, n_neurons * PAGES)
            raise ValueError(
                f"expected a state of at most {self.budget} bytes, got {needed} for {n_neurons} "
                f"neurons: take {self.budget // each} neurons at a time, or raise the budget "
                f"(at most {most} bytes are ever needed)"
            )

    def _spare(self, n_pages: int) -> int:
        """A quarter more than needed, or what the budget leaves: the next pages cost no copy."""
        if self.budget is None:
            return n_pages // 4
        left = self.budget - memory(*self._shape, n_pages)
        return min(n_pages // 4, left // self.pages[0].nbytes)

    def _grow(self, n_pages: int) -> None:
        grown = self.pages.new_zeros(n_pages + 1, *self.pages.shape[1:])
        grown[: self.n_pages] = self.pages[: self.n_pages]
        self.pages = grown
