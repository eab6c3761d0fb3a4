"""Nearest neighbours by cosine, beside a full product and faiss."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks import peers
from mechsteer.throughput.cases import nearest, neighbours_case
from mechsteer.throughput.measure import Case


def full_product(x: Tensor, y: Tensor) -> Tensor:
    """The whole matrix of cosines, then the largest of each row."""
    return (normalize(x) @ normalize(y).T).argmax(1)


def faiss_flat(x: Tensor, y: Tensor) -> Tensor:
    """An exact inner-product index of unit rows, on one thread."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(normalize(y).numpy())
    return torch.from_numpy(index.search(normalize(x).numpy(), 1)[1][:, 0])


def cpu() -> Iterator[list[Case]]:
    """A split of FLORES-200 and one several times its size."""
    for size in ((1012, 1024), (4096, 1024)):
        made = [
            neighbours_case("mechsteer", nearest, size),
            neighbours_case("matmul and argmax", full_product, size),
        ]
        if not peers.missing("faiss"):
            made.append(neighbours_case("faiss IndexFlatIP", faiss_flat, size))
        yield made


def cuda() -> Iterator[list[Case]]:
    """A split of FLORES-200 at the width of an 8B model, and one that fills the device."""
    for size in ((1012, 4096), (16_384, 4096)):
        yield [
            neighbours_case("mechsteer triton", nearest, size, "cuda"),
            neighbours_case("matmul and argmax", full_product, size, "cuda"),
        ]
