"""Rates where no model is at hand: operations over a peak, at a share of it that is assumed.

What a processor does beside the model, scoring and measuring, is measured on this one all the same.
"""

from __future__ import annotations

import torch

from mechsteer.planning.calibrate import measuring, scoring
from mechsteer.planning.devices import BANDWIDTH, PROCESSOR, UTILISATION, Device
from mechsteer.planning.rates import Curve, Rates, Spent
from mechsteer.planning.sizes import Sizes
from mechsteer.planning.workload import Workload
from mechsteer.throughput.measure import measured_floors

_ROWS = 64  # embeddings that stand for real ones
READING = Spent(1e-9, 1e-9)
"""A byte of a recording: a gigabyte a second, of a disk that is not at hand."""
FILING, KEEPING = Spent(1e-2, 1e-2), Spent(2e-9, 2e-9)
"""A file of what was measured, and a byte of it."""
TOKENISING = Spent(1e-4, 1e-4)
"""A sentence."""


def published(sizes: Sizes, dev: Workload, test: Workload, gpu: Device | None) -> Rates:
    """Rates of a device by its published peaks; of this processor by its product of matrices."""
    labels = torch.arange(len(dev.counts)).repeat_interleave(torch.tensor([*dev.counts.values()]))
    dtype = torch.bfloat16 if sizes.itemsize == 2 else torch.float32
    like = torch.randn(3, _ROWS, sizes.d_model, generator=torch.Generator().manual_seed(0)) + 1
    pair, language = measuring(like, max(test.counts.values()))
    call, neuron = scoring(labels, dtype)
    rate, basis = _rate(sizes, gpu)
    curve = _curve(sizes, (dev, test), rate, gpu)
    return Rates(
        recording=curve,
        embedding=curve,
        tokenising=TOKENISING,
        calling=call,
        scoring=neuron,
        reading=READING,
        pair=pair,
        language=language,
        filing=FILING,
        keeping=KEEPING,
        basis=basis,
    )


def _rate(sizes: Sizes, gpu: Device | None) -> tuple[float, str]:
    """Operations a second, and where the number is from."""
    if gpu is not None:
        peak = gpu.flops_of(sizes.itemsize)
        kind = "float32" if sizes.itemsize >= 4 else "bfloat16"
        said = f"published peak of {gpu.name}, {peak / 1e12:.4g} TFLOP/s in {kind}"
        return UTILISATION * peak, f"simulated: {UTILISATION:.0%} assumed of the {said}"
    floors = measured_floors("cpu", threads=torch.get_num_threads(), elements=1 << 22)
    said = f"{floors.flops_per_second / 1e9:.4g} GFLOP/s that large products reach here"
    return PROCESSOR * floors.flops_per_second, f"simulated: {PROCESSOR:.0%} assumed of {said}"


def _curve(sizes: Sizes, works: tuple[Workload, ...], rate: float, gpu: Device | None) -> Curve:
    """What a token costs by the width of its batch: operations, or reading all weights once."""
    widths = sorted({width for work in works for _, width in work.batches})
    most = max(rows * width for work in works for rows, width in work.batches)
    weights = (
        0.0 if gpu is None else sizes.multiplied * sizes.itemsize / (BANDWIDTH * gpu.bandwidth)
    )
    tokens = []
    for width in widths:
        full = max(width, most // width * width)
        seconds = max(sizes.flops(full, full * width) / rate, weights) / full
        tokens.append(Spent(seconds, seconds))
    return Curve(tuple(widths), tuple(tokens))
