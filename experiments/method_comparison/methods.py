"""Every method under comparison: its name, its largest strength, its edit at strength 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.interventions import (
    Edit,
    ResidualEdit,
    gaussian_transport,
    linear_map,
    linear_transport,
    recover,
    remove_subspace,
)
from mechsteer.recording import Recording

clamp = partial(ms.clamp, pooling="max")  # at maxima, of which the committed results are
FULL, OPEN = 1.0, 4.0
"""Largest strength: of methods whose strength 1 is all they can do, and of those without an end."""


@dataclass(frozen=True)
class Fitted:
    """What methods are fitted on: dev recordings and embeddings of the untouched model."""

    model: Any
    scores: NeuronScores
    recording: Recording
    embeddings: Mapping[str, Tensor]
    k: int
    layer: int

    def experts(self, target: str) -> Experts:
        """The target's best neurons by average precision."""
        return self.scores.top(target, self.k)


@dataclass(frozen=True)
class Method:
    """``make`` gives the edit towards a target language at strength 1, ``most`` the last one."""

    name: str
    make: Callable[[Fitted, str], Edit]
    most: float = FULL


def linear_maps(fitted: Fitted, target: str) -> ResidualEdit:
    """INCLINE from every language to the target: each row of a batch has its own language's map."""
    dev, layer = fitted.embeddings, fitted.layer
    edits = []
    for source in dev:
        x = dev[source][layer].double()
        ridge = 0.1 * float((x**2).sum()) / x.shape[1]  # a tenth of the mean eigenvalue
        goal = target if source != target else next(code for code in dev if code != target)
        edit = linear_map(fitted.model, dev, source=source, target=goal, layers=layer, ridge=ridge)
        edits.append(edit if source != target else _silent(edit))
    left, right = (torch.cat([getattr(e, side) for e in edits]) for side in ("left", "right"))
    v = torch.cat([edit.v for edit in edits])
    return replace(edits[0], v=v, left=left, right=right, languages=tuple(dev))


def _silent(edit: ResidualEdit) -> ResidualEdit:
    """The same shapes, no effect: the target's own sentences stay where they are."""
    assert edit.left is not None
    return replace(edit, left=torch.zeros_like(edit.left))


METHODS = (
    Method("clamp", lambda f, t: clamp(f.experts(t))),
    Method("clamp to the mean", lambda f, t: clamp(f.experts(t), value="mean")),
    Method("damp", lambda f, t: ms.damp(f.experts(t), factor=0.0)),
    Method("AurA", lambda f, t: ms.aura(f.experts(t))),
    Method("shift", lambda f, t: ms.shift(f.experts(t), f.recording), OPEN),
    Method(
        "gaussian transport",
        lambda f, t: gaussian_transport(f.experts(t), f.recording),
    ),
    Method(
        "linear transport",
        lambda f, t: linear_transport(f.experts(t), f.recording),
    ),
    Method(
        "DiffMean",
        lambda f, t: ms.diffmean(f.model, f.embeddings, target=t, layers=f.layer),
        OPEN,
    ),
    Method(
        "ReCoVeR",
        lambda f, t: recover(f.model, f.embeddings, target=t, layers=f.layer),
        OPEN,
    ),
    Method("INCLINE", linear_maps, OPEN),
    Method(
        "LIR",
        lambda f, t: remove_subspace(f.model, f.embeddings, rank=4, layers=f.layer, how="lir"),
    ),
    Method(
        "LSAR",
        lambda f, t: remove_subspace(f.model, f.embeddings, rank=4, layers=f.layer, how="lsar"),
    ),
    Method("centring", lambda f, t: ms.centring(f.model, f.embeddings, layers=f.layer)),
)

SEEDS = 5


def controls() -> tuple[Method, ...]:
    """Clamps of random neurons, as many in each layer, and of ones that tell no language."""

    def random(seed: int) -> Callable[[Fitted, str], Edit]:
        return lambda f, t: clamp(ms.experts.random_like(f.scores, f.experts(t), seed=seed))

    def null(seed: int) -> Callable[[Fitted, str], Edit]:
        return lambda f, t: clamp(ms.experts.null_like(f.scores, f.experts(t), seed=seed))

    made = [Method(f"random neurons, seed {seed}", random(seed)) for seed in range(SEEDS)]
    made += [Method(f"null neurons, seed {seed}", null(seed)) for seed in range(SEEDS)]
    return tuple(made)
