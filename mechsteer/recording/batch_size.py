"""``batch_tokens="auto"``: how many tokens of a batch fit the memory.

Found once and then recorded: what determines a recording's bytes is the number, never ``"auto"``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from mechsteer.artifacts.files import read_signed
from mechsteer.errors import ArtifactError, ModelError
from mechsteer.machine import available_memory
from mechsteer.model.interface import Model
from mechsteer.recording.batches import BatchPlan
from mechsteer.recording.passes import run_batch
from mechsteer.recording.points import PointPoolings
from mechsteer.recording.reading import USUAL_TOKENS
from mechsteer.recording.shards import PLAN

LARGEST = 1 << 15
"""Tokens of a batch that a GPU is tried with first."""
SHARE = 4
"""On a processor, activations may take one in so many bytes of the memory that is free."""


def fitted(
    plan: BatchPlan, model: Model, read: PointPoolings, directory: Path | None = None
) -> BatchPlan:
    """A plan divided again, so that each batch fits the memory.

    A recording that was begun keeps its number. On a processor the usual number is halved until the
    activations of the largest batch, as ``activation_bytes`` estimates them, take a quarter of the
    free memory or less. On another device the two largest batches are run, the longest sentences
    first, and the number is halved while the device is out of memory.

    Raises:
        ModelError: the longest sentence alone is too much for the device.
    """
    if (recorded := _recorded(directory)) is not None:
        return plan.divided(recorded)
    if (budget := budget_of(model)) is not None:
        return halved(plan, USUAL_TOKENS, lambda it: activation_bytes(it, model, read) <= budget)
    found = halved(plan, LARGEST, lambda it: _runs(it, model, read))
    if found.batch_tokens <= max(plan.lengths) and not _runs(found, model, read):
        raise ModelError(
            f"{model.input_device} is out of memory on the longest sentence alone, of "
            f"{max(plan.lengths)} tokens: shorten it, or spread the model with device_map='auto'"
        )
    return found


def budget_of(model: Model) -> int | None:
    """Bytes that activations may take on a processor; None elsewhere, where one can try."""
    return available_memory() // SHARE if model.input_device.type == "cpu" else None


def halved(plan: BatchPlan, most: int, fits: Callable[[BatchPlan], bool]) -> BatchPlan:
    """The first of ``most``, ``most / 2``, … tokens that fits.

    It ends at the longest sentence, which no smaller number divides.
    """
    tried = plan.divided(most)
    longest = max(plan.lengths)
    while tried.batch_tokens > longest and not fits(tried):
        tried = plan.divided(max(1, tried.batch_tokens // 2))
    return tried


def activation_bytes(plan: BatchPlan, model: Model, read: PointPoolings) -> int:
    """An estimate of what the activations of a plan's largest batch take at once, in bytes.

    ``tokens · (8 d_model + 4 d_mlp) + 3 · heads · sentences · longest²`` numbers of the weights'
    type: one block's residual stream, queries, keys, values and norms; gate, up, their product and
    a copy that is pooled; scores of eager attention before and after the softmax. Never logits,
    which a recording does not compute.
    """
    widest = max(point.width for point in read)
    d_model = int(model.cfg.d_model)
    heads = int(getattr(model.cfg, "n_heads", 0) or 1)
    numbers = 0
    for rows in plan.batches:
        longest = plan.lengths[rows[0]]
        tokens = len(rows) * longest
        own = tokens * (8 * d_model + 4 * max(widest, d_model)) + 3 * heads * tokens * longest
        numbers = max(numbers, own)
    return numbers * model.dtype.itemsize


def largest(plan: BatchPlan) -> list[int]:
    """The batches that take most: of the longest sentences, and of the most tokens."""
    tokens = [len(rows) * plan.lengths[rows[0]] for rows in plan.batches]
    return sorted({0, tokens.index(max(tokens))})


def _runs(plan: BatchPlan, model: Model, read: PointPoolings) -> bool:
    """Whether the largest batches of a plan run in the memory of the device."""
    try:
        for number in largest(plan):
            run_batch(model, read, plan.batch(number).to(model.input_device))
    except ModelError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
    else:
        return True
    torch.cuda.empty_cache()  # outside of the handler, which holds the pass's tensors
    return False


def _recorded(directory: Path | None) -> int | None:
    """The number of a recording that was begun; None where there is none, or it is damaged."""
    if directory is None:
        return None
    try:
        number = read_signed(Path(directory) / PLAN).get("batch_tokens")
    except ArtifactError:
        return None
    return number if isinstance(number, int) and number > 0 else None
