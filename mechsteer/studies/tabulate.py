"""From measured states to the tidy table: one row an observation, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mechsteer.analysis.statistics import bootstrap_mean
from mechsteer.studies.results import COLUMNS
from mechsteer.studies.states import Measures, State

HITS = {"retrieval_top1": "top1", "mexa": "mexa"}


def tabulate(
    measured: Mapping[State, Measures],
    languages: Sequence[str],
    *,
    targets: Sequence[str],
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of every state: means and intervals per layer, over all pairs, per language, per pair.

    Intervals are 95 % percentile bootstraps over sentence ids, the same resamples for every cell
    and state. ``METRIC.delta`` is the paired difference to the state ``none``. Sources and targets
    ``*`` are means over ordered pairs of different languages.
    """
    base = measured.get(State())
    draws = {"resamples": resamples, "seed": seed}
    frames = []
    for state, measures in measured.items():
        for metric, name in HITS.items():
            hits = _cells(getattr(measures, name))
            frames.append(_interval_rows(state, metric, hits, languages, **draws))
            if base is not None and state != State():
                delta = hits - _cells(getattr(base, name))
                rows = _interval_rows(state, f"{metric}.delta", delta, languages, **draws)
                frames.append(rows)
        frames.append(_distance_rows(state, measures, languages, targets))
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
    return torch.cat((overall, by_source, by_target, pairs), dim=1).permute(2, 0, 1)


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
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    n_sentences, n_layers, n_cells = values.shape
    interval = bootstrap_mean(values.flatten(1), resamples=resamples, seed=seed)
    source, target = _names(languages)
    return pd.DataFrame(
        asdict(state)
        | {
            "layer": np.repeat(np.arange(n_layers), n_cells),
            "source": source * n_layers,
            "target": target * n_layers,
            "metric": metric,
            "value": interval.value.numpy(),
            "ci_low": interval.low.numpy(),
            "ci_high": interval.high.numpy(),
            "n": n_sentences,
        }
    )


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
