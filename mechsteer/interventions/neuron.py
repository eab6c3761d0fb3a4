"""Edits of neurons from their scores: who is moved, and where to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import Experts
from mechsteer.interventions.edits import NeuronEdit
from mechsteer.interventions.samples import rows_in, samples
from mechsteer.kernels import Pooling
from mechsteer.recording import Recording


def clamp(
    experts: Experts, recording: Recording | None = None, *, value: str | float = "median"
) -> NeuronEdit:
    """Hold every expert at one value: ``a = 0``, ``b = value``.

    Args:
        experts: whom to hold.
        recording: where percentiles come from, of the pooling the experts were scored with.
        value: the neuron's own ``"median"`` or ``"mean"`` over the pooled activations of the
            language's sentences; ``"p90"`` for their 90th percentile (any from ``"p0"`` to
            ``"p100"``, interpolated linearly); or one number for all.

    Source: the mean is Sundar et al. 2025 (section 3.3); the median is what Suau et al. 2022 and
    Kojima et al. 2024 released (``on_p50``).

    Raises:
        MechsteerError: another value, or a percentile without a recording.
        ArtifactError: the recording lacks that pooling, or is of another model.
    """
    if value in ("median", "mean"):
        held = getattr(experts, str(value))
    elif isinstance(value, str):
        held = _percentiles(experts, recording, value)
    else:
        held = value
    return affine(experts, 0.0, held, "clamp", statistic=value)


def damp(experts: Experts, *, factor: float = 0.5) -> NeuronEdit:
    """Scale every expert down: ``a = factor``, ``b = 0``.

    Source: Damp of Suau et al. 2024 (2407.12824).
    """
    return affine(experts, float(factor), 0.0, "damp", factor=factor)


def zero(experts: Experts) -> NeuronEdit:
    """Silence every expert: ``a = b = 0``.

    Source: Det-zero of Suau et al. 2024; deactivation in Tang et al. 2024 (LAPE).
    """
    return affine(experts, 0.0, 0.0, "zero")


def aura(experts: Experts) -> NeuronEdit:
    """Damp every neuron by how well it detects the language: ``a = 1 - 2·max(AUROC - 1/2, 0)``.

    A perfect detector is silenced; one at chance or below stays as it is. The paper moves all
    neurons above chance: ``aura(threshold(scores, language, 0.5, by="auroc"))``, with scores of
    maxima.

    Source: AurA, Suau et al. 2024 (2407.12824).
    """
    kept = 1 - 2 * (experts.auroc.double() - 0.5).clamp(min=0)
    return affine(experts, kept, 0.0, "aura")


def shift(
    experts: Experts, recording: Recording | None = None, *, remove: str | None = None
) -> NeuronEdit:
    """Add the language's mean to every expert: ``a = 1``, ``b = μ``, less the mean of ``remove``.

    It acts on every token, so the means are over tokens: of mean-pooled activations. To silence the
    neurons of the source language instead, steer with ``zero(its experts)`` beside.

    Args:
        experts: whom to move.
        recording: where the means come from, with ``"mean"`` among its poolings. None takes those
            of the experts, which then must have been scored with ``pooling="mean"``.
        remove: the language whose mean is taken away at the same neurons; needs the recording.

    Source: language arithmetics, Gurgurov et al. 2025 (2507.22608).

    Raises:
        MechsteerError: another pooling, an unknown language, or ``remove`` without a recording.
        ArtifactError: the recording lacks mean pooling, or is of another model.
    """
    if recording is None:
        _require_means(experts, remove)
        return affine(experts, 1.0, experts.mean, "shift", pooling="mean")
    target = rows_in(recording, experts.language)
    moved = torch.zeros(len(experts), dtype=torch.float64)
    for places, values in samples(experts, recording, "mean"):
        moved[places] = values[target].mean(0)
        if remove is not None:
            source = rows_in(recording, remove)
            moved[places] -= values[source].mean(0)
    return affine(experts, 1.0, moved, "shift", pooling="mean", remove=remove)


def affine(
    experts: Experts,
    a: Float[Tensor, " expert"] | float,
    b: Float[Tensor, " expert"] | float,
    name: str,
    *,
    window: tuple[Tensor, Tensor] | None = None,
    pooling: Pooling | None = None,
    **facts: Any,
) -> NeuronEdit:
    """The edit with these coefficients, rounded once to float32, that knows where it came from."""

    def whole(value: Tensor | float) -> Tensor:
        return torch.as_tensor(value, dtype=torch.float64).expand(len(experts)).float()

    low, high = (None, None) if window is None else map(whole, window)
    provenance = {
        "constructor": name,
        "language": experts.language,
        "selection": experts.selection,
        "k": len(experts),
        "pooling": pooling or experts.pooling,
        "strength": 1.0,
    }
    return NeuronEdit(
        name,
        experts.site,
        experts.index,
        whole(a),
        whole(b),
        low,
        high,
        model=experts.model,
        provenance=provenance | facts,
    )


def _percentiles(experts: Experts, recording: Recording | None, value: str) -> Tensor:
    percent = _percent(value)
    if recording is None:
        raise MechsteerError(
            f"a percentile needs a recording: clamp(experts, recording, value={value!r})"
        )
    target = rows_in(recording, experts.language)
    held = torch.zeros(len(experts), dtype=torch.float64)
    for places, values in samples(experts, recording, experts.pooling):
        found = np.percentile(values[target].numpy(), percent, axis=0)  # torch's takes 16M values
        held[places] = torch.from_numpy(found)
    return held


def _percent(value: str) -> float:
    try:
        percent = float(value.removeprefix("p")) if value.startswith("p") else math.nan
    except ValueError:
        percent = math.nan
    if not 0 <= percent <= 100:
        raise MechsteerError(
            f"expected value='median', 'mean', a percentile such as 'p90', or a number, "
            f"got {value!r}"
        )
    return percent


def _require_means(experts: Experts, remove: str | None) -> None:
    if remove is not None:
        raise MechsteerError(
            f"taking the mean of {remove!r} away needs a recording: "
            f"shift(experts, recording, remove={remove!r})"
        )
    if experts.pooling != "mean":
        raise MechsteerError(
            f"a shift acts on every token and needs means over tokens, got {experts.pooling!r}-"
            "pooled ones: pass a recording with pooling='mean', or score with pooling='mean'"
        )
