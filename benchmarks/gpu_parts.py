"""Parts of the first minutes on a device that are no operation's benchmark.

``python -m benchmarks.gpu_parts versions|correctness|counting [--dry-run]``; ``--dry-run`` needs no
device (but ``TRITON_INTERPRET=1``) and times nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import Tensor

from benchmarks import gpu
from mechsteer.kernels import score
from mechsteer.kernels.common.grouping import group
from mechsteer.kernels.scoring import count_sort
from mechsteer.throughput.cases import ScoringInput, ours, scoring_case
from mechsteer.throughput.measure import measured_floors

PACKAGES = (
    *("torch", "triton", "cuda-bindings", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "numpy"),
    *("cuda-cccl", "torcheval", "cuml-cu13", "cuml-cu12"),
    *("numba", "scikit-learn", "pandas", "pytest", "pytest-xdist", "transformer-lens"),
)


def versions(*, dry: bool) -> None:
    """Print what is installed, and what the device is."""
    print(platform.platform(), "Python", platform.python_version(), os.cpu_count(), "cores")
    for name in PACKAGES:
        try:
            print(name, version(name))
        except PackageNotFoundError:
            print(name, "is not installed")
    if not dry:
        found = torch.cuda.get_device_properties(0)
        print(
            found.name, f"{found.total_memory / 2**30:.0f} GiB", f"L2 {found.L2_cache_size} bytes"
        )
        print("CountSort", "compiles" if usable_here() else "does not run here: Triton alone does")


def usable_here() -> bool:
    """Whether CountSort compiles for the first device."""
    return count_sort.usable_on(count_sort.SOURCE, torch.device("cuda", 0))


def correctness(*, dry: bool) -> None:
    """Triton, and CountSort where it runs, beside the CPU on ties, odd sizes and every type."""
    place = torch.device("cpu" if dry else "cuda")
    for n, languages in ((15, 3),) if dry else ((40, 3), (1000, 12), (1025, 12), (4096, 204)):
        labels = torch.arange(n) * 7 % n % languages
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            noise = torch.randn(n, 2 if dry else 100, generator=torch.Generator().manual_seed(n))
            x = (noise * 8).round().div(8).to(dtype)
            expected = score(x, labels, backend="numpy", moments=False)
            for backend in ("triton",) if dry else ("triton", "auto"):
                found = score(x.to(place), labels.to(place), backend=backend, moments=False)
                for name in ("ap", "auroc"):
                    gap = (getattr(found, name).cpu() - getattr(expected, name)).abs().max()
                    print(
                        f"{n} sentences, {languages} classes, {dtype}, {backend}, {name}: {gap:.1e}"
                    )
                    assert gap <= 1.2e-7


def counted(rows: Tensor, labels: Tensor, languages: int) -> Tensor:
    """CountSort itself: what ``score`` would ask, and nothing in its stead."""
    grouping = group(labels, n_sentences=rows.shape[1])
    table = torch.empty(2, grouping.n_classes, len(rows), device=rows.device)
    assert count_sort.fill(table[0], table[1], rows, grouping) == -1
    return table[:, :languages]


def counting(*, dry: bool) -> None:
    """CountSort against Triton at the size of an eighth of a model, by the number of languages."""
    neurons = 40 if dry else 57_344
    floors = None if dry else measured_floors("cuda", threads=1)
    for languages in (2, 12) if dry else (2, 12, 50, 100, 204):
        given = ScoringInput.make(4096, neurons, languages, device="cpu" if dry else "cuda")
        rivals = {"mechsteer triton": partial(ours, backend="numpy" if dry else "triton")}
        if not dry:
            rivals["mechsteer CountSort"] = counted
        for name, run in rivals.items():
            case = scoring_case(name, run, given)
            if floors is None:
                print(f"{name}, {case.shape}: error {gpu.checked(case):.1e}, not timed")
                continue
            found = gpu.timed(case, floors)
            gpu.append([found])
            print(
                f"{name}, {case.shape}: {found.p50_ms:.3f} ms, {found.ratio_to_floor:.1f} x floor"
            )


def main() -> int:
    """Run one part."""
    parts = {"versions": versions, "correctness": correctness, "counting": counting}
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("part", choices=parts)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    parts[options.part](dry=options.dry_run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
