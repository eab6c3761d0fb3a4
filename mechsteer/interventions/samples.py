"""What recorded sentences say about chosen neurons, a few neurons at a time, in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts.moments import MOMENTS, Beside, Moments
from mechsteer.experts.scores import STATISTICS, Experts
from mechsteer.kernels import Pooling, effect_size, score
from mechsteer.recording import Recording

_CHUNK = 1024  # neurons at once: 50 MB for 6,000 sentences


def samples(
    experts: Experts, recording: Recording, pooling: Pooling
) -> Iterator[tuple[Int[Tensor, " chunk"], Float[Tensor, "sentence chunk"]]]:
    """Places of some experts in rank order, with their pooled activation of every sentence.

    Goes through one hook point after the other, so that memory holds one layer.

    Raises:
        ArtifactError: the recording is of another model, or lacks a layer or the pooling.
        MechsteerError: an activation is not finite; the neuron is named.
    """
    _require_same(experts, recording)
    for point, offset in zip(experts.site.points, experts.site.offsets, strict=True):
        here = (experts.index >= offset) & (experts.index < offset + point.width)
        if not here.any():
            continue
        activations = recording.activations(point, pooling=pooling)
        for places in torch.split(here.nonzero()[:, 0], _CHUNK):
            values = activations[:, experts.index[places] - offset].double()
            bad = (~values.isfinite()).any(0).nonzero()[:, 0].tolist()
            if bad:
                where = experts.site.locate(int(experts.index[places[bad[0]]]))
                raise MechsteerError(f"an activation of {where} is not finite")
            yield places, values


def rescored(experts: Experts, recording: Recording, *, pooling: Pooling | None = None) -> Experts:
    """The same neurons in the same order, with the scores and statistics a recording gives them.

    For edits that take them from the experts: with another pooling, on other sentences, or of a
    model that is edited already (``make`` of ``fitting.fit``).

    Args:
        experts: which neurons, of which language.
        recording: of sentences in at least two languages.
        pooling: one that was recorded; that of the experts by default.

    Raises:
        ArtifactError: the recording is of another model, or lacks a layer or the pooling.
        MechsteerError: the language was not recorded, or an activation is not finite.
    """
    how = pooling or experts.pooling
    row = int(recording.labels[rows_in(recording, experts.language)][0])
    found = _scored(experts, recording, how, row, STATISTICS)
    rest = found.pop("rest_mean"), found.pop("rest_std")
    found["effect_size"] = effect_size(found["mean"], found["std"], *rest)
    beside: Beside = {
        other: Moments(**_scored(experts, recording, other, row, MOMENTS))
        for other in recording.pooling
        if other != how
    }
    selection = f"{experts.selection}, scored again"
    return replace(experts, pooling=how, selection=selection, tied_at_cut=0, beside=beside, **found)


def _scored(
    experts: Experts, recording: Recording, pooling: Pooling, row: int, names: Sequence[str]
) -> dict[str, Any]:
    """Statistics of each expert for the language of a row, by one pooling."""
    found = {name: torch.empty(len(experts)) for name in names}
    for places, values in samples(experts, recording, pooling):
        scores = score(values.float(), recording.labels)  # recorded in float32 or less: exact
        for name, column in found.items():
            column[places] = getattr(scores, name)[row].cpu()
    return found


def rows_in(recording: Recording, language: str) -> Bool[Tensor, " sentence"]:
    """Which sentences are in a language.

    Raises:
        MechsteerError: the language was not recorded; the closest ones are named.
    """
    return recording.having(language)


def _require_same(experts: Experts, recording: Recording) -> None:
    same_weights = experts.model is None or (
        experts.model.weights_hash == recording.model.weights_hash
    )
    if experts.site != recording.site or not same_weights:
        raise ArtifactError(
            "the recording is of another model or site than the experts: record the model that "
            "was scored"
        )
