"""From measured states to the tidy table: one row an observation, with its interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from mechsteer.analysis.retrieval import by_pair
from mechsteer.analysis.statistics import bootstrap_mean, holm, mcnemar
from mechsteer.studies.quality import QUALITIES
from mechsteer.studies.results import COLUMNS, is_control
from mechsteer.studies.states import Measures, State

HITS = {"retrieval_top1": "top1", "retrieval_margin": "margin", "mexa": "mexa"}


def tabulate(
    measured: Mapping[State, Measures],
    languages: Sequence[str],
    *,
    targets: Sequence[str],
    pairs_at: Collection[int] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of every state: means and intervals per layer, over all pairs, per language, per pair.

    Intervals are 95 % percentile bootstraps over sentence ids, the same resamples for every cell
    and state. ``METRIC.delta`` is the paired difference to the state ``none``,
    ``METRIC.vs_centring`` that of an edit to the state ``centring`` (means only, no single pairs),
    and ``retrieval_top1.p`` the p-value of the first for a pair: exact McNemar, Holm-corrected over
    all ordered pairs of the state and layer. Sources and targets ``*`` are means over ordered pairs
    of different languages. Qualities of a space (``mechsteer.studies.quality``) have no interval.

    Args:
        measured: the states; differences need ``none`` among them.
        languages: those of the measures, in order.
        targets: steered languages, for the distances of states that have none of their own.
        pairs_at: layers whose single pairs get rows; all by default. They are most of the table.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    base, centred = measured.get(State()), measured.get(State("centring"))
    pairs_at = None if pairs_at is None else sorted(pairs_at)
    rows_of = partial(_interval_rows, pairs_at=pairs_at, resamples=resamples, seed=seed)
    frames = []
    for state, measures in measured.items():
        for metric, name in HITS.items():
            hits = _cells(getattr(measures, name))
            frames.append(rows_of(state, metric, hits, languages))
            if base is not None and state != State():
                delta = hits - _cells(getattr(base, name))
                frames.append(rows_of(state, f"{metric}.delta", delta, languages))
            if centred is not None and not is_control(state.edit) and state != State():
                beyond = (hits - _cells(getattr(centred, name)))[..., : 1 + 2 * len(languages)]
                rows = rows_of(state, f"{metric}.vs_centring", beyond, languages, pairs_at=())
                frames.append(rows)
        if base is not None and state != State() and pairs_at != []:
            frames.append(_p_rows(state, measures, base, languages, pairs_at))
        frames.append(_distance_rows(state, measures, languages, targets))
        if measures.quality.numel():
            frames.append(_quality_rows(state, measures))
    return pd.concat(frames, ignore_index=True)[list(COLUMNS)]


def _cells(
    hits: Bool[Tensor, "layer source target sentence"],
) -> Float[Tensor, "sentence layer cell"]:
    """Values per sentence: all pairs, each source, each target, each pair (source-major)."""
    n_languages = hits.shape[1]
    different = ~torch.eye(n_languages, dtype=torch.bool)
    values = hits.float() * different[:, :, None]
    by_source = values.sum(2) / (n_languages - 1)
    by_target = values.sum(1) / (n_languages - 1)
    overall = by_source.mean(1, keepdim=True)
    pairs = values[:, different]
    cells = torch.cat((overall, by_source, by_target, pairs), dim=1)
    return rearrange(cells, "layer cell sentence -> sentence layer cell")


def _names(languages: Sequence[str]) -> tuple[list[str], list[str]]:
    """Source and target of each cell of ``_cells``."""
    pairs = [(s, t) for s in languages for t in languages if s != t]
    star = ["*"] * len(languages)
    source = ["*", *languages, *star, *(s for s, _ in pairs)]
    target = ["*", *star, *languages, *(t for _, t in pairs)]
    return source, target


def _interval_rows(
    state: State,
    metric: str,
    values: Float[Tensor, "sentence layer cell"],
    languages: Sequence[str],
    *,
    pairs_at: Sequence[int] | None,
    **draws: int,
) -> pd.DataFrame:
    """Means in every layer, single pairs in those asked for."""
    layers = range(values.shape[1])
    some = layers if pairs_at is None else pairs_at
    source, target = _names(languages)
    n_means = 1 + 2 * len(languages)
    parts = ((layers, slice(n_means)), (some, slice(n_means, None)))
    return pd.concat(
        [
            _intervals(values[:, list(at), cells], at, source[cells], target[cells], **draws)
            for at, cells in parts
            if at
        ]
    ).assign(**asdict(state), metric=metric)


def _intervals(
    values: Float[Tensor, "sentence layer cell"],
    layers: Sequence[int],
    source: Sequence[str],
    target: Sequence[str],
    **draws: int,
) -> pd.DataFrame:
    interval = bootstrap_mean(rearrange(values, "sentence ... -> sentence (...)"), **draws)
    return pd.DataFrame(
        {
            "layer": np.repeat(layers, len(source)),
            "source": [*source] * len(layers),
            "target": [*target] * len(layers),
            "value": interval.value.numpy(),
            "ci_low": interval.low.numpy(),
            "ci_high": interval.high.numpy(),
            "n": len(values),
        }
    )


def _p_rows(
    state: State,
    measures: Measures,
    base: Measures,
    languages: Sequence[str],
    pairs_at: Collection[int] | None,
) -> pd.DataFrame:
    """How likely so large a change of a pair's hits is by chance: one row a pair and layer."""
    n_layers, *_, n_sentences = measures.top1.shape
    pairs = [(s, t) for s in languages for t in languages if s != t]
    frames = []
    for layer in range(n_layers) if pairs_at is None else pairs_at:
        p = holm(mcnemar(by_pair(measures.top1[layer]), by_pair(base.top1[layer])))
        rows = pd.DataFrame(pairs, columns=["source", "target"])
        frames.append(rows.assign(layer=layer, value=p.numpy()))
    named = asdict(state) | {"metric": "retrieval_top1.p", "n": n_sentences}
    return pd.concat(frames).assign(**named, ci_low=np.nan, ci_high=np.nan)


def _distance_rows(
    state: State, measures: Measures, languages: Sequence[str], targets: Sequence[str]
) -> pd.DataFrame:
    steered = [state.language] if state.language else list(targets)
    n = measures.top1.shape[-1]
    rows = []
    for layer in range(len(measures.pair_distance)):
        rows.append((layer, "*", "*", "distance_pairs", measures.pair_distance[layer].item()))
        to_medoid = measures.medoid_distance[layer].tolist()
        rows += [
            (layer, s, "*", "distance_medoid", v) for s, v in zip(languages, to_medoid, strict=True)
        ]
        for target in steered:
            column = measures.mean_distance[layer, :, languages.index(target)].tolist()
            named = zip(languages, column, strict=True)
            rows += [(layer, s, target, "distance_target", v) for s, v in named if s != target]
    frame = pd.DataFrame(rows, columns=["layer", "source", "target", "metric", "value"])
    return frame.assign(**asdict(state), ci_low=np.nan, ci_high=np.nan, n=n)


def _quality_rows(state: State, measures: Measures) -> pd.DataFrame:
    """One row a quality and layer that was measured."""
    n = measures.top1.shape[-1]
    rows = [
        (layer, "*", "*", name, value)
        for name, line in zip(QUALITIES, measures.quality.tolist(), strict=True)
        for layer, value in enumerate(line)
    ]
    frame = pd.DataFrame(rows, columns=["layer", "source", "target", "metric", "value"])
    return frame.dropna().assign(**asdict(state), ci_low=np.nan, ci_high=np.nan, n=n)
