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
from mechsteer.kernels import POOLINGS, Pooling
from mechsteer.recording import Recording


def clamp(
    experts: Experts,
    recording: Recording | None = None,
    *,
    value: str | int | float = "median",
    pooling: Pooling | None = None,
) -> NeuronEdit:
    """Hold every expert at one value: ``a = 0``, ``b = value``.

    Args:
        experts: whom to hold.
        recording: where percentiles come from, and values of a pooling that the scores lack.
        value: the neuron's own ``"median"`` or ``"mean"`` over the pooled activations of the
            language's sentences; ``"p90"`` for their 90th percentile (any from ``"p0"`` to
            ``"p100"``, interpolated linearly); or one number for all.
        pooling: of those activations over a sentence's tokens: ``"max"``, ``"mean"`` or ``"last"``;
            ``"mean"`` by default, whatever found the experts. Maxima find them well, but a clamp
            acts at every token, and a maximum is more than a neuron gives at nearly all of them.

    Source: the mean is Sundar et al. 2025 (section 3.3); the median is what Suau et al. 2022 and
    Kojima et al. 2024 released (``on_p50``).

    Raises:
        MechsteerError: another value or pooling, one that was not recorded with the scores, or a
            percentile without a recording.
        ArtifactError: the recording lacks that pooling, or is of another model.
    """
    if not isinstance(value, str):
        if pooling is not None:
            raise MechsteerError(
                f"expected value='median', 'mean' or a percentile with pooling={pooling!r}, got "
                f"the number {value!r}, which is not pooled"
            )
        return affine(experts, 0.0, float(value), "clamp", statistic=value)
    how = known_pooling(pooling or "mean")
    held = _statistic(experts, recording, value, how)
    facts: dict[str, Any] = {"statistic": value, "scored_pooling": experts.pooling}
    return affine(experts, 0.0, held, "clamp", pooling=how, **facts)


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
            of the experts, scored or recorded beside with ``pooling="mean"``.
        remove: the language whose mean is taken away at the same neurons; needs the recording.

    Source: language arithmetics, Gurgurov et al. 2025 (2507.22608).

    Raises:
        MechsteerError: another pooling, an unknown language, or ``remove`` without a recording.
        ArtifactError: the recording lacks mean pooling, or is of another model.
    """
    if recording is None:
        _require_means(experts, remove)
        return affine(experts, 1.0, experts.statistic("mean", "mean"), "shift", pooling="mean")
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
    """The edit with these coefficients, rounded once to float32, that knows where it came from.

    ``pooling`` is that of the activations that the coefficients were taken from; the experts' own
    by default.
    """

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


def known_pooling(pooling: str) -> Pooling:
    """The pooling of that name.

    Raises:
        MechsteerError: there is none.
    """
    for known in POOLINGS:
        if known == pooling:
            return known
    raise MechsteerError(f"expected pooling {', '.join(POOLINGS)}, got {pooling!r}")


def _statistic(
    experts: Experts, recording: Recording | None, value: str, pooling: Pooling
) -> Tensor:
    """Mean, median or a percentile of each expert over its language's sentences."""
    known = pooling == experts.pooling or pooling in experts.beside
    if value in ("mean", "median") and (known or recording is None):
        return experts.statistic(value, pooling)
    percent = None if value == "mean" else 50.0 if value == "median" else percentile(value)
    if recording is None:
        raise MechsteerError(
            f"a percentile needs a recording: clamp(experts, recording, value={value!r})"
        )
    target = rows_in(recording, experts.language)
    held = torch.zeros(len(experts), dtype=torch.float64)
    for places, values in samples(experts, recording, pooling):
        own = values[target].numpy()  # torch's quantile takes 16M values
        found = own.mean(0) if percent is None else np.percentile(own, percent, axis=0)
        held[places] = torch.from_numpy(found)
    return held


def percentile(value: str) -> float:
    """The number of a percentile: 90 of ``"p90"``.

    Raises:
        MechsteerError: another text, or a number outside 0 to 100.
    """
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
    if experts.pooling != "mean" and "mean" not in experts.beside:
        raise MechsteerError(
            f"a shift acts on every token and needs means over tokens, got {experts.pooling!r}-"
            "pooled ones: pass a recording with pooling='mean', or score with also_pooling='mean'"
        )
