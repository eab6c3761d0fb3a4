"""Exact scores of all classes by counting, in CUDA C++: ``count_sort.cu``, which says how.

For CUDA tensors of 16 bits, 1,025 to 4,096 sentences and up to 853 classes, where NVRTC can be had;
Triton serves all else. A block is laid out for 4,096 sentences, so that fewer cost no less. This
module lays the classes out, and its constants are those that the source is compiled with: on a
device, ahead of time and in the tests alike. Sums are exact or added in one order, and atomics are
of integers: every run gives the same bits.

Floor: one read of the activations. Predictions are in ``benchmarks/results/predictions_h200.csv``;
not measured on a device yet.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..common.cuda_launch import Source, launch, usable_on
from ..common.grouping import Grouping
from ..common.scratch import pieces

__all__ = [
    "CONSTANTS",
    "MAX_CLASSES",
    "SOURCE",
    "ClassMaps",
    "fill",
    "lay_out",
    "serves",
    "shared_bytes",
]

THREADS, PLACES, NO_MAP = 512, 4096, 0xFFFF
CONSTANTS = {"THREADS": THREADS, "PLACES": PLACES, "NO_MAP": NO_MAP}
SOURCE = Source(Path(__file__).with_name("count_sort.cu"), tuple(CONSTANTS.items()))
MAX_CLASSES = PLACES // 3 - THREADS
"""Three partial sums for each thread and class fit where the counts were."""

_PER = PLACES // THREADS
_KEY_WORDS, _MAP_WORDS = 65_536 // 32, PLACES // 32
_FREE_MAPS = _KEY_WORDS // _MAP_WORDS
_LEAST = 1025  # below, Triton sorts two neurons in a program of a quarter the size
_WALKED = 64  # sentences of a class that are compared faster than a bitmap is summed
_POINTERS = (ctypes.c_void_p,) * 8
_SIGNATURE = (*_POINTERS, *(ctypes.c_int,) * 3, *(ctypes.c_longlong,) * 2, ctypes.c_uint)


class ClassMaps(NamedTuple):
    """How one block finds the classes.

    ``order`` lists the sentences class by class, and then the padding; ``maps`` tells for each of
    them the bitmap of its class, or ``NO_MAP``. ``threads`` holds the class of a thread's first
    sentence, and 16 bits up which of its sentences are the last of their class or of the thread.
    ``offsets`` are where each class begins, and the end.
    """

    order: NDArray[np.uint16]
    maps: NDArray[np.uint16]
    threads: NDArray[np.uint32]
    offsets: NDArray[np.int32]
    n_maps: int

    @property
    def kernel(self) -> str:
        """The form of the kernel: with or without classes that have no bitmap."""
        return "count_sort_walks" if (self.maps == NO_MAP).any() else "count_sort_maps"


def shared_bytes(n_maps: int) -> int:
    """Shared memory of a block: bins, keys, totals of warps and the larger set of bitmaps."""
    return (4 + 2) * PLACES + 128 + 6 * max(_KEY_WORDS, n_maps * _MAP_WORDS)


def lay_out(grouping: Grouping) -> ClassMaps:
    """Give every class of over 64 sentences a bitmap, and the largest as many as cost nothing.

    >>> from ..common.grouping import group
    >>> lay_out(group(torch.arange(90) % 3, n_sentences=90)).maps[[0, 30, 60]].tolist()
    [0, 1, 2]
    """
    counts, n = grouping.counts, grouping.n_sentences
    mapped = counts > _WALKED
    mapped[np.argsort(-counts, kind="stable")[:_FREE_MAPS]] = True
    own = np.where(mapped, np.cumsum(mapped) - 1, NO_MAP)
    order, classes = np.arange(PLACES), np.full(PLACES, grouping.n_classes - 1)
    order[:n], classes[:n] = grouping.order, grouping.classes
    last = np.zeros(PLACES, bool)
    last[grouping.offsets[1:] - 1] = True
    last[np.arange(_PER - 1, n, _PER)] = True
    bits = last.reshape(THREADS, _PER) @ (1 << np.arange(16, 16 + _PER))
    return ClassMaps(
        order.astype(np.uint16),
        own[classes].astype(np.uint16),
        (classes[::_PER] + bits).astype(np.uint32),
        grouping.offsets.astype(np.int32),
        int(mapped.sum()),
    )


def serves(rows: Tensor, n_classes: int) -> bool:
    """Whether this kernel scores such rows ``[neuron, sentence]``, here and now."""
    size = _LEAST <= rows.shape[1] <= PLACES and n_classes <= MAX_CLASSES
    fits = size and rows.element_size() == 2
    return fits and rows.is_cuda and usable_on(SOURCE, rows.device)


def fill(ap: Tensor, auroc: Tensor, rows: Tensor, grouping: Grouping) -> int:
    """AP and AUROC ``[class, neuron]`` of every row; return the first not finite, or -1."""
    layout = lay_out(grouping)
    device, n = rows.device, rows.shape[1]
    finite = torch.empty(len(rows), dtype=torch.int32, device=device)
    infinity = int(torch.tensor(torch.inf, dtype=rows.dtype).view(torch.int16))
    # Torch knows few types without a sign.
    halves, wholes = (layout.order, layout.maps), (layout.threads, layout.offsets)
    signed = [*(a.view(np.int16) for a in halves), *(a.view(np.int32) for a in wholes)]
    tables = [torch.from_numpy(array).to(device) for array in signed]
    for at, piece in pieces(rows, n * rows.element_size()):
        launch(
            SOURCE,
            layout.kernel,
            (len(piece), THREADS, shared_bytes(layout.n_maps)),
            _SIGNATURE,
            *(piece, *tables, ap[:, at], auroc[:, at], finite[at]),
            *(n, grouping.n_classes, layout.n_maps, piece.stride(0), ap.stride(0), infinity),
        )
    return -1 if finite.all() else int(finite.argmin())
