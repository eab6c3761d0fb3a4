"""Where a recording without a folder goes: into memory, or where it exceeds that, to the disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from mechsteer.memory import embeddings_bytes, room
from mechsteer.model.sites import HookSite
from mechsteer.recording.batches import BatchPlan
from mechsteer.recording.on_disk import OnDisk
from mechsteer.recording.points import PointPoolings
from mechsteer.recording.spilled import Spilled
from mechsteer.recording.store import Memory, Store

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus


def placed(  # noqa: PLR0917
    plan: BatchPlan,
    corpus: LabelledCorpus,
    read: PointPoolings,
    residual: Sequence[HookSite],
    dtype: torch.dtype,
    memory: int,
) -> Store:
    """A store in memory if all values fit half of what ``memory`` leaves, else one on the disk.

    Args:
        plan: the batches.
        corpus: whose sentences they are.
        read: how each hook point is pooled.
        residual: those of ``read`` that are rows of the residual stream.
        dtype: of the activations, which maxima and last values keep.
        memory: bytes, see ``mechsteer.memory``.

    Raises:
        ArtifactError: no temporary file can be made.
    """
    sizes, n = (len(plan.batches), len(plan.ids)), len(plan.ids)
    width = residual[0].width if residual else 0
    total = embeddings_bytes(n, len(residual), width)
    for point, poolings in read.items():
        if point not in residual:
            each = (4 if how == "mean" else dtype.itemsize for how in poolings)
            total += n * point.width * sum(each)
    if total <= room(memory):
        return Memory(*sizes, residual=residual)
    counts = {language: len(corpus.sentences[language]) for language in corpus.languages}
    embeddings = OnDisk(counts, len(residual), width, room(memory)) if residual else None
    return Spilled(*sizes, embeddings)
