"""Exact scores of every class over 16-bit activations that arrive in any order and are not kept.

A 16-bit activation is one of 65,536 keys, so how often each key came with each class is all there
is to know. Counts live in pages of 128 neighbouring keys (of bfloat16: one sign and exponent), and
only pages that were touched exist: activations of a neuron spread over tens of the 512.

Floor of an update: one read of the batch and one count in memory changed for each activation. Plain
torch on any device, numba on a CPU that has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..common.backends import usable
from ..common.checks import check_activations, check_state, class_of_each, raise_not_finite
from ..labelings.operation import LabelingScores
from .key_pages import KEYS, PAGES, KeyPages, memory

__all__ = ["KeyCounts"]

_DTYPES = (torch.bfloat16, torch.float16)
_MAX_SENTENCES = 2**31 - 1  # counts have 32 bits


class KeyCounts:
    """AP and AUROC of every class against all others, from sentences in any order.

    Exact, ties included: however the sentences are split, ordered or merged, the counts and
    therefore all bits of the result are the same. AUROC has the bits of ``score_labelings`` up
    to 4e15 pairs of sentences; AP is summed in float64 in another order and rounded once, so it may
    differ by one unit in the last place of float32.

    Memory is 2 KB a neuron and ``512 * n_classes`` bytes a page in use, at most ``memory(...)``
    bytes however many sentences come: less than keeping ``N`` of them as soon as
    ``N > 1024 + 256 * n_classes * pages``. Normally distributed activations use 25 to 40 pages a
    neuron in bfloat16, 120 to 190 in float16: for 12 classes that is near 100,000 and 500,000
    sentences.

    On a CPU with numba 20 ns an activation (bfloat16; float16 25) and core in batches of 1,000
    sentences, 6 (17) in batches of 16,000: a batch reads each neuron's counts from memory.

    Args:
        n_neurons: Columns of every batch.
        n_classes: Labels are 0 to ``n_classes - 1``.
        dtype: bfloat16 or float16; wider activations have too many keys: see ``StreamingScores``.
        budget: Bytes that the state may take. A batch that needs more is refused before anything
            is counted.
        device: Where the state lives; batches are copied to it.

    >>> counts = KeyCounts(1, 2, torch.bfloat16)
    >>> counts.update(torch.tensor([[2.0], [1.0]]).bfloat16(), torch.tensor([0, 1]))
    >>> counts.update(torch.tensor([[1.0]]).bfloat16(), torch.tensor([0]))
    >>> counts.result().auroc.tolist()
    [[0.75], [0.25]]
    """

    def __init__(
        self,
        n_neurons: int,
        n_classes: int,
        dtype: torch.dtype,
        *,
        budget: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if dtype not in _DTYPES:
            raise ValueError(
                f"expected bfloat16 or float16, got {dtype}: a table of counts needs few keys; "
                "StreamingScores takes float32"
            )
        if n_neurons < 1 or n_classes < 2:
            raise ValueError(
                f"expected at least one neuron and two classes, got {n_neurons} and {n_classes}"
            )
        self.dtype = dtype
        self._counts = KeyPages(n_neurons, n_classes, budget, device)
        self._sizes = torch.zeros(n_classes, dtype=torch.int64)

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Tensor],
        *,
        budget: int | None = None,
        device: torch.device | str = "cpu",
    ) -> KeyCounts:
        """Go on from what ``state`` returned, here or on another machine.

        Raises:
            ValueError: Tensors that are missing or do not fit each other.
        """
        check_state(state, ("example", "pages", "sizes", "table"))
        table, pages, sizes = state["table"], state["pages"], state["sizes"]
        if table.ndim != 2 or sizes.ndim != 1:
            raise ValueError(
                f"expected a table [neuron, page] and sizes [class], got {tuple(table.shape)} and "
                f"{tuple(sizes.shape)}"
            )
        n_pages = int((table >= 0).sum())
        right = (torch.int32, torch.int32, torch.int64, (n_pages, KEYS, len(sizes)), PAGES)
        got = (table.dtype, pages.dtype, sizes.dtype, tuple(pages.shape), table.shape[-1])
        if right != got or not torch.equal(
            table[table >= 0].sort().values.cpu(), torch.arange(n_pages, dtype=torch.int32)
        ):
            raise ValueError(
                f"expected a table of {n_pages} pages with types and shapes {right}, got {got}"
            )
        _check_counts(table, pages, sizes)
        made = cls(len(table), len(sizes), state["example"].dtype, budget=budget, device=device)
        made._counts.fill(table, pages)
        made._sizes = sizes.detach().cpu().clone()
        return made

    @staticmethod
    def memory(n_neurons: int, n_classes: int, pages: int = PAGES) -> int:
        """Bytes of a state with so many pages a neuron; by default all, which bounds it.

        >>> KeyCounts.memory(1, 12), KeyCounts.memory(1, 12, pages=40)
        (3153920, 253952)
        """
        return memory(n_neurons, n_classes, n_neurons * pages)

    @property
    def n_sentences(self) -> int:
        """Sentences counted so far, in all merged parts."""
        return int(self._sizes.sum())

    @property
    def nbytes(self) -> int:
        """Bytes that the state takes now."""
        return self._counts.nbytes

    def update(self, x: Float[Tensor, "sentence neuron"], labels: Int[Tensor, "sentence"]) -> None:
        """Count a batch of any size and strides. An error leaves the state as it was.

        Raises:
            ValueError: NaN or infinity (the column is named), another dtype or number of neurons,
                labels that are no integers from 0 to ``n_classes - 1``, more than 2,147,483,647
                sentences in all, more pages than the budget holds.
        """
        counts, n_classes = self._counts, len(self._sizes)
        check_activations(x, n_neurons=len(counts.table), dtypes=(self.dtype,))
        found = class_of_each(labels, n_sentences=len(x), n_classes=n_classes)
        sizes = self._sizes + torch.bincount(found, minlength=n_classes).cpu()
        _check_room(sizes)
        rows = x.detach().to(counts.table.device).T
        if rows.numel():
            wanted = counts.table >= 0
            backend = _backend(rows)
            bad = backend.touched(wanted, rows)
            if bad >= 0:
                raise_not_finite(rows[bad], bad)
            counts.open(wanted)
            backend.count(counts.pages, counts.table, rows, found.to(rows.device))
        self._sizes = sizes

    def merge(self, other: KeyCounts) -> None:
        """Add what ``other`` has counted, on any device, to this state.

        Raises:
            ValueError: Another number of neurons or classes or another dtype (what differs is
                named), or more sentences or pages than fit.
        """
        mine = (len(self._counts.table), len(self._sizes), self.dtype)
        theirs = (len(other._counts.table), len(other._sizes), other.dtype)
        if mine != theirs:
            raise ValueError(f"expected (neurons, classes, dtype) {mine} to merge, got {theirs}")
        _check_room(self._sizes + other._sizes)
        self._counts.add(other._counts)
        self._sizes = self._sizes + other._sizes

    def state(self) -> dict[str, Tensor]:
        """The state as plain tensors, not copied: save them and go on with ``from_state``."""
        pages = self._counts.pages[: self._counts.n_pages]
        example = torch.zeros((), dtype=self.dtype)
        return {
            "table": self._counts.table,
            "pages": pages,
            "sizes": self._sizes,
            "example": example,
        }

    def result(self) -> LabelingScores:
        """AP and AUROC ``[class, neuron]`` of all sentences so far, on the device of the state.

        Raises:
            ValueError: A class without sentences, or all sentences in one.
        """
        empty = (self._sizes == 0).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"class {empty[0]} of {len(self._sizes)} has no sentence yet: a score needs at "
                "least one positive and one negative"
            )
        pages, table = self._counts.pages, self._counts.table
        (ap, auroc), complete = _backend(pages).score(pages, table, self._sizes)
        if not complete:
            raise ValueError(
                f"expected counts that add up to {self.n_sentences} sentences at every neuron, got "
                "others: an update was interrupted, start again from a saved state"
            )
        return LabelingScores(ap, auroc)


def _backend(x: Tensor) -> ModuleType:
    if x.device.type == "cpu" and usable("numba"):
        return import_module(".key_counts_cpu", __package__)
    return import_module(".key_counts_torch", __package__)


def _check_counts(table: Tensor, pages: Tensor, sizes: Tensor) -> None:
    """Refuse counts below 0, or that are not those of all sentences at every neuron."""
    used = table >= 0
    rows = used.nonzero()[:, 0].to(pages.device)
    each = pages.sum(1)[table[used].long().to(pages.device)]
    found = torch.zeros(len(table), len(sizes), dtype=torch.int64, device=pages.device)
    found.index_add_(0, rows, each)
    if (sizes < 0).any() or (pages < 0).any() or (found != sizes.to(found.device)).any():
        raise ValueError(
            "expected counts of 0 and above that add up to the sentences of each class at every "
            "neuron, got others: start again from a saved state"
        )
    _check_room(sizes)


def _check_room(sizes: Tensor) -> None:
    if int(sizes.sum()) > _MAX_SENTENCES:
        raise ValueError(
            f"expected at most {_MAX_SENTENCES} sentences, got {int(sizes.sum())}: counts have 32 "
            "bits"
        )
