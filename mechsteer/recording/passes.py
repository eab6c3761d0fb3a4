"""The forward passes of a recording: batch after batch, pooled in the hook, checked, stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mechsteer.errors import ModelError
from mechsteer.kernels import Pooling, pool_tokens
from mechsteer.model.decoder import decoder_real
from mechsteer.model.hooks import read
from mechsteer.model.interface import Model
from mechsteer.model.masking import require_masking
from mechsteer.model.sites import HookSite, require_once, require_tokens, require_width
from mechsteer.progress import hidden
from mechsteer.recording.batches import Batch, BatchPlan, source_of
from mechsteer.recording.counted import counting
from mechsteer.recording.finite import remedy
from mechsteer.recording.firing import FIRING, fires
from mechsteer.recording.points import PointPoolings
from mechsteer.recording.store import Pooled, Store

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus


def fill(
    store: Store,
    model: Model,
    corpus: LabelledCorpus,
    plan: BatchPlan,
    points: PointPoolings,
    *,
    progress: bool,
) -> None:
    """Run every batch that a store lacks, and put its pooled values there.

    Raises:
        ModelError: a value is not finite; layer, file and line are named.
    """
    require_masking(model)
    require_once(model, points)
    device = model.input_device
    with store.writing():
        for number, batch in _watched(plan, store.missing(), show=progress):
            pooled = run_batch(model, points, batch.to(device))
            _require_finite(pooled, batch, corpus, model)
            store.add(number, batch.rows, pooled)


@torch.inference_mode()
def run_batch(model: Model, points: PointPoolings, batch: Batch) -> Pooled:
    """Run one batch and pool what passes each hook point, in the order of the forward pass."""
    pooled: dict[tuple[HookSite, Pooling], Tensor] = {}
    decoded = any(point.stack == "decoder" for point in points)
    shifted = decoder_real(batch.real, batch.mask.cpu()) if decoded else batch.real

    def reader(point: HookSite, poolings: tuple[Pooling, ...]) -> Callable[[Tensor], None]:
        def pool_activation(z: Tensor) -> None:
            require_width(point, z)
            require_tokens(point, z, batch.real)
            seen = fires(z) if point.kind == FIRING else z
            real = shifted if point.stack == "decoder" else batch.real
            values = pool_tokens(seen, real, how=poolings)
            pooled.update(zip([(point, how) for how in poolings], values, strict=True))

        return pool_activation

    readers = {point.hook: reader(point, poolings) for point, poolings in points.items()}
    with counting(model, batch.real):
        read(model, batch.ids, batch.mask, readers)
    return pooled


def _require_finite(pooled: Pooled, batch: Batch, corpus: LabelledCorpus, model: Model) -> None:
    finite = torch.stack([z.isfinite().all(1).to(model.input_device) for z in pooled.values()])
    if finite.all():
        return
    number, row = (~finite).nonzero()[0].tolist()  # the first in the forward pass
    point, _ = list(pooled)[number]
    raise ModelError(
        f"{source_of(corpus, int(batch.rows[row]))}: an activation of {point.layer_name} "
        f"({point.component}) is not finite: {remedy(model.dtype)}"
    )


def _watched(plan: BatchPlan, numbers: Sequence[int], *, show: bool) -> Iterator[tuple[int, Batch]]:
    """Batches to run, under a bar that counts sentences and starts at what was there already."""
    total = len(plan.ids)
    done = total - sum(len(plan.batches[number]) for number in numbers)
    with tqdm(
        desc="recording",
        unit=" sentence",
        total=total,
        initial=done,
        disable=hidden(show=show),
        dynamic_ncols=True,
    ) as bar:
        for number in numbers:
            yield number, plan.batch(number)
            bar.update(len(plan.batches[number]))
