"""Which sentence belongs to which class, checked once and laid out for the kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .checks import class_of_each

MAX_CLASSES = 65_535
"""A class shares a 32-bit word with a 16-bit sort key."""


@dataclass(frozen=True)
class Grouping:
    """The sentences of each class side by side.

    ``order`` lists the sentences class by class, ``classes`` the class of each of those, and class
    ``c`` fills ``offsets[c]:offsets[c + 1]``. The order within a class is the original one.
    """

    order: NDArray[np.int64]
    classes: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Sentences of each class, all at least one."""
        return np.diff(self.offsets)

    @property
    def n_classes(self) -> int:
        """Number of classes, at least two."""
        return len(self.offsets) - 1

    @property
    def n_sentences(self) -> int:
        """Number of sentences, at least two."""
        return len(self.order)


def group(labels: Tensor, *, n_sentences: int, n_classes: int | None = None) -> Grouping:
    """Group sentences by label.

    Raises:
        ValueError: labels that are no integers, of another length than the sentences, negative or
            beyond ``n_classes``; fewer than two sentences or classes; a class without sentences.

    >>> import torch
    >>> group(torch.tensor([1, 0, 1]), n_sentences=3).order
    array([1, 0, 2])
    """
    if n_classes is not None:
        _check_number(n_classes)
    found = class_of_each(labels, n_sentences=n_sentences, n_classes=n_classes).cpu().numpy()
    if n_sentences < 2:
        raise ValueError(f"expected at least two sentences, got {n_sentences}")
    total = int(found.max()) + 1 if n_classes is None else n_classes
    _check_number(total)
    counts = np.bincount(found, minlength=total)
    if not counts.all():
        raise ValueError(
            f"class {int(np.argmin(counts))} of {total} has no sentence: number the classes "
            "0, 1, ... without a gap, or leave n_classes out"
        )
    order = np.argsort(found, kind="stable")
    return Grouping(order, found[order], np.concatenate([[0], np.cumsum(counts)]))


def _check_number(n_classes: int) -> None:
    if not 2 <= n_classes <= MAX_CLASSES:
        raise ValueError(
            f"expected 2 to {MAX_CLASSES} classes, got {n_classes}: a score compares the sentences "
            "of one class with all others"
        )
