"""The smaller tables of a study: where experts live, who shares them, the projection, hubs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mechsteer.analysis.hubness import skewness
from mechsteer.errors import MechsteerError
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.model.sites import Site
from mechsteer.options.ranking import DEFAULT_RANKING, Ranking
from mechsteer.studies.conditions import Condition
from mechsteer.studies.measurements import Measurements
from mechsteer.studies.projection import Projection

SENTENCES_SHOWN = 200  # of each language: more would only cover each other


def experts_per_layer(
    scores: NeuronScores, k: int | float, how: Ranking = DEFAULT_RANKING
) -> pd.DataFrame:
    """Experts of each language in each layer, and how well that layer's neurons detect it.

    Columns language, stack (``encoder`` or ``decoder``, empty where a model has one), layer, count,
    random (what k random neurons give on average), ap_max and ap_p99 (the best average precision of
    the layer's neurons, and their 99th percentile), and prevalence, which is the average precision
    of chance. ``script_ap_max`` and ``script_prevalence`` are the same among languages of one
    script, missing for a language that is the only one of its script. Ranked within a script, such
    languages have no experts, and no rows.
    """
    k = scores.resolve_k(k)
    stack, layer, owner = _layers(scores.site)
    frames = []
    for language, experts in _best(scores, k, how).items():
        ap = pd.Series(scores.ap[scores.row(language)].numpy()).groupby(owner)
        columns = {
            **_counted(experts, stack, layer, owner),
            "ap_max": ap.max().to_numpy(),
            "ap_p99": ap.quantile(0.99).to_numpy(),
            "prevalence": scores.prevalence(language),
        }
        if scores.has_peers(language):
            own = scores.among(language, "script")
            columns["script_ap_max"] = (
                pd.Series(own.ap[own.row(language)].numpy()).groupby(owner).max().to_numpy()
            )
            columns["script_prevalence"] = own.prevalence(language)
        frames.append(pd.DataFrame({"language": language} | columns))
    return pd.concat(frames, ignore_index=True)


def counts_of_experts(experts: Experts) -> pd.DataFrame:
    """Experts of each layer: the first columns of ``experts_per_layer``, without those of AP."""
    columns = _counted(experts, *_layers(experts.site))
    return pd.DataFrame({"language": experts.language} | columns)


def _layers(site: Site) -> tuple[list[str], list[int], np.ndarray]:
    """Stack and number of every layer, and the layer of every neuron by its place in both."""
    layers = list(dict.fromkeys((point.stack, point.layer) for point in site.points))
    numbers = [layers.index((point.stack, point.layer)) for point in site.points]
    owner = np.repeat(numbers, [point.width for point in site.points])
    return [stack for stack, _ in layers], [layer for _, layer in layers], owner


def _counted(
    experts: Experts, stack: Sequence[str], layer: Sequence[int], owner: np.ndarray
) -> dict[str, Any]:
    """Experts in each layer, and how many as many random neurons give on average."""
    return {
        "stack": stack,
        "layer": layer,
        "count": np.bincount(owner[experts.index.numpy()], minlength=len(layer)),
        "random": np.bincount(owner) * (len(experts) / len(owner)),
    }


def expert_overlap(
    scores: NeuronScores, k: int | float, how: Ranking = DEFAULT_RANKING
) -> pd.DataFrame:
    """How many of their k experts each two languages share.

    Columns language, other, shared, jaccard (shared neurons over all neurons of the two), one row
    an ordered pair, a language with itself included. Two random sets share about ``k²/neurons``.
    """
    experts = {code: set(own.index.tolist()) for code, own in _best(scores, k, how).items()}
    rows = [
        (code, other, len(own & others), len(own & others) / (len(own | others) or 1))
        for code, own in experts.items()
        for other, others in experts.items()
    ]
    return pd.DataFrame(rows, columns=["language", "other", "shared", "jaccard"])


def _best(scores: NeuronScores, k: int | float, how: Ranking) -> dict[str, Experts]:
    """The k best neurons of every language that can be ranked so."""
    return {
        code: scores.top(code, k, by=how.by, within=how.within)
        for code in scores.languages
        if how.within == "all" or scores.has_peers(code)
    }


def projection_table(
    measured: Mapping[Condition, Measurements],
    conditions: Iterable[Condition],
    languages: Sequence[str],
    projection: Projection,
) -> pd.DataFrame:
    """Where the first sentences of each language lie on the projection, under some conditions.

    Columns kind, edit, language (steered), layer, source (the sentence's language), sentence, x, y,
    and the shares of the base's variance x_share and y_share that the axes explain on dev.
    """
    frames = []
    for condition in conditions:
        coordinates = measured[condition].coordinates
        if coordinates is None:
            raise MechsteerError(f"{condition.label} was measured without a projection")
        place = coordinates[:, :SENTENCES_SHOWN].numpy()
        n_languages, n_sentences, _ = place.shape
        columns = {
            "kind": condition.kind,
            "edit": condition.edit or "",
            "language": condition.language or "",
            "layer": projection.layer,
            "source": np.repeat(languages, n_sentences),
            "sentence": np.tile(np.arange(n_sentences), n_languages),
            "x": place[..., 0].ravel(),
            "y": place[..., 1].ravel(),
        }
        frames.append(pd.DataFrame(columns))
    first, second = projection.explained
    return pd.concat(frames, ignore_index=True).assign(x_share=first, y_share=second)


def hubness_table(measured: Mapping[Condition, Measurements], layer: int) -> pd.DataFrame:
    """How often sentences are among the 10 nearest of a query, at one layer, in every condition.

    Columns kind, edit, language, k, strength, seed, layer, occurrence (N_10), count (of sentences,
    over all ordered pairs of languages; occurrences that none has are left out) and skewness, which
    is missing where all sentences occur equally often.
    """
    frames = []
    for condition, own in measured.items():
        if own.occurrence is None:
            raise MechsteerError(f"{condition.label} was measured without a projection")
        there = own.occurrence.nonzero()[:, 0]
        each = there.repeat_interleave(own.occurrence[there])
        columns = {
            "layer": layer,
            "occurrence": there.numpy(),
            "count": own.occurrence[there].numpy(),
            "skewness": skewness(each) if len(there) > 1 else float("nan"),
        }
        frames.append(pd.DataFrame(condition.columns() | columns))
    return pd.concat(frames, ignore_index=True)
