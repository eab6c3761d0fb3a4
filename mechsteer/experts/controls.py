"""Controls of experts: random neurons, and neurons that tell nothing about the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.errors import MechsteerError
from mechsteer.experts.moments import Moments, picked
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.model.sites import HookSite, Site


def random_like(
    scores: NeuronScores,
    experts: Experts,
    *,
    seed: int,
    values_of: Literal["own", "experts"] = "own",
) -> Experts:
    """As many random neurons in every layer as there are experts, never an expert.

    Args:
        scores: of every neuron.
        experts: whom to match.
        seed: of the draw; one seed gives one control.
        values_of: with ``"own"`` the neurons keep their own statistics on the language's sentences,
            so a clamp moves them where the language itself would. With ``"experts"`` each takes the
            mean and median of an expert of its layer (Sundar et al. 2025, section 7: "set to the
            activation levels of the language expert neurons").

    Raises:
        MechsteerError: a layer has too few neurons left to match.
    """
    if values_of not in ("own", "experts"):
        raise MechsteerError(f"expected values_of='own' or 'experts', got {values_of!r}")
    chosen = _random_neurons(scores.site, experts.index, seed=seed)
    control = scores.take(experts.language, chosen, selection=f"random, seed {seed}")
    if values_of == "own":
        return control
    twin = experts.index.argsort()  # random neurons come point by point, as sorted experts do
    selection = f"{control.selection}, experts' values"
    mean, median = experts.mean[twin], experts.median[twin]
    beside = picked(experts.beside, twin)
    return replace(control, selection=selection, mean=mean, median=median, beside=beside)


def null_like(
    scores: NeuronScores,
    experts: Experts,
    *,
    seed: int,
    tolerance: float = 0.05,
    nearest: int = 10,
) -> Experts:
    """Neurons that tell nothing about the language, displaced as far as the experts.

    Each expert gets a null neuron, ``|AUROC - 1/2| < tolerance``, of its own layer: a random one of
    the ``nearest`` by deviation over the other languages' sentences. Displacement is what a clamp
    adds to a neuron where the language is not: ``value - rest_mean``. A null neuron has little of
    its own, so its mean and median are set to ``rest_mean`` plus the displacement of its expert:
    equal in the neurons' own units by construction, and near-equal in deviations by the choice,
    which ``displacements`` shows.

    Raises:
        MechsteerError: a layer has fewer null neurons than experts.
    """
    row = scores.row(experts.language)
    null = (scores.auroc[row] - 0.5).abs() < tolerance
    chosen = _null_neurons(
        scores.site,
        experts.index,
        null=null,
        spread=scores.rest_std[row],
        nearest=nearest,
        seed=seed,
    )
    selection = f"null within {tolerance:g} of AUROC 0.5, seed {seed}"
    control = scores.take(experts.language, chosen, selection=selection)
    gap = scores.rest_mean[row, control.index] - scores.rest_mean[row, experts.index]
    beside = {
        how: _displaced(experts.beside[how], null)
        for how, null in control.beside.items()
        if how in experts.beside
    }
    return replace(control, beside=beside, mean=experts.mean + gap, median=experts.median + gap)


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


def _displaced(expert: Moments, null: Moments) -> Moments:
    """The null neurons, as far from their mean over the other languages as the experts."""
    gap = null.rest_mean - expert.rest_mean
    return Moments(expert.mean + gap, expert.median + gap, null.rest_mean)


def _random_neurons(site: Site, experts: Int[Tensor, " expert"], *, seed: int) -> list[int]:
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
                f"{point.layer_name} has {point.width} neurons, {len(here)} of them experts: "
                f"{len(free)} are left for a matched control; take a smaller k"
            )
        chosen += sorted(generator.choice(free, len(here), replace=False).tolist())
    return chosen


def _null_neurons(
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
                f"{point.layer_name} has {len(left)} neurons that tell nothing about the language "
                f"and {len(here)} experts: take a smaller k, a larger tolerance, or random_like"
            )
        for place in here:
            distance = (spread[left] - spread[experts[place]]).abs().numpy()
            pick = generator.choice(np.argsort(distance, kind="stable")[:nearest])
            chosen[place] = left[pick]
            left = np.delete(left, pick)
    return chosen.tolist()


def _divided(
    site: Site, experts: Int[Tensor, " expert"]
) -> Iterator[tuple[HookSite, np.ndarray, np.ndarray]]:
    """Of each hook point: places of its experts in their order, and its other neurons, sorted."""
    flat = experts.numpy()
    for point, offset in zip(site.points, site.offsets, strict=True):
        here = np.flatnonzero((flat >= offset) & (flat < offset + point.width))
        free = np.setdiff1d(np.arange(offset, offset + point.width), flat[here])
        yield point, here, free
