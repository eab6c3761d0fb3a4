"""Neurons to compare experts with: random ones, and ones that tell nothing about the language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.model.sites import HookSite, Site

if TYPE_CHECKING:
    from mechsteer.experts.scores import Experts, NeuronScores


def random_neurons(site: Site, experts: Int[Tensor, " expert"], *, seed: int) -> list[int]:
    """As many random neurons of every hook point as there are experts, never an expert.

    They come in the order of the site, sorted.

    Raises:
        MechsteerError: a layer has too few neurons left.
    """
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    for point, here, free in _divided(site, experts):
        if len(here) > len(free):
            raise MechsteerError(
                f"{point.place} has {point.width} neurons, {len(here)} of them experts: "
                f"{len(free)} are left for a matched control; take a smaller k"
            )
        chosen += sorted(generator.choice(free, len(here), replace=False).tolist())
    return chosen


def null_neurons(
    site: Site,
    experts: Int[Tensor, " expert"],
    *,
    null: Bool[Tensor, " neuron"],
    spread: Float[Tensor, " neuron"],
    nearest: int,
    seed: int,
) -> list[int]:
    """For each expert, in its place, a null neuron of its hook point and of similar ``spread``.

    Each is drawn from the ``nearest`` that are not taken yet; the experts choose in turn.

    Raises:
        MechsteerError: a layer has fewer null neurons than experts.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(experts), np.int64)
    for point, here, free in _divided(site, experts):
        left = free[null.numpy()[free]]
        if len(here) > len(left):
            raise MechsteerError(
                f"{point.place} has {len(left)} neurons that tell nothing about the language "
                f"and {len(here)} experts: take a smaller k, a larger tolerance, or random_like"
            )
        for place in here:
            distance = (spread[left] - spread[experts[place]]).abs().numpy()
            pick = generator.choice(np.argsort(distance, kind="stable")[:nearest])
            chosen[place] = left[pick]
            left = np.delete(left, pick)
    return chosen.tolist()


def displacements(scores: NeuronScores, experts: Experts, control: Experts) -> pd.DataFrame:
    """How well a control matches the displacement of the experts, one row a pair, in their order.

    Columns: ``layer``, ``expert`` and ``control`` (flat numbers), and for either, under its name
    and ``.d`` or ``.sd``, the displacement ``median - rest_mean`` in units of the activation and in
    deviations over the other languages' sentences (infinite or NaN where there is no deviation).

    Raises:
        MechsteerError: the two do not pair up.
    """
    if len(experts) != len(control) or experts.language != control.language:
        raise MechsteerError("expected as many control neurons as experts, of one language")
    row = scores.row(experts.language)
    layers = [scores.site.locate(flat)[1] for flat in experts.index.tolist()]
    table = pd.DataFrame({"layer": layers})
    for name, chosen in (("expert", experts), ("control", control)):
        moved = chosen.median - scores.rest_mean[row, chosen.index]
        table[name] = chosen.index.numpy()
        table[f"{name}.d"] = moved.numpy()
        table[f"{name}.sd"] = (moved / scores.rest_std[row, chosen.index]).numpy()
    return table


def _divided(
    site: Site, experts: Int[Tensor, " expert"]
) -> Iterator[tuple[HookSite, np.ndarray, np.ndarray]]:
    """Of each hook point: places of its experts in their order, and its other neurons, sorted."""
    flat = experts.numpy()
    for point, offset in zip(site.points, site.offsets, strict=True):
        here = np.flatnonzero((flat >= offset) & (flat < offset + point.width))
        free = np.setdiff1d(np.arange(offset, offset + point.width), flat[here])
        yield point, here, free
