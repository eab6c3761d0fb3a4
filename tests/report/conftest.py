"""A synthetic study: 12 languages, 6 layers (8 rows), 3 steered languages, 3 random seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from mechsteer.reporting import ReportData
from mechsteer.studies.results import COLUMNS

LANGUAGES = (
    *("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "rus_Cyrl", "ell_Grek"),
    *("arb_Arab", "hin_Deva", "jpn_Jpan", "zho_Hans", "tur_Latn", "swh_Latn"),
)
EDITS = (("none", -1), ("clamp", -1), ("random", 0), ("random", 1), ("random", 2), ("centring", -1))
SHIFT = {"none": 0.0, "clamp": -0.02, "random": -0.004, "centring": 0.05}
METRICS = ("retrieval_top1", "mexa", "distance_pairs", "distance_medoid", "distance_target")


def _level(metric: str, layer: int, n_layers: int) -> float:
    """Shares rise to the middle layers and fall; distances the other way."""
    hump = 0.1 + 0.45 * np.sin(np.pi * (layer + 0.5) / (n_layers + 2))
    return {"retrieval_top1": hump, "mexa": 0.8 * hump}.get(metric, 0.7 - hump)


def _row(values: tuple[object, ...], value: float, *, interval: bool) -> tuple[object, ...]:
    half = 0.012 if interval else np.nan
    return (*values, value, value - half, value + half, 120)


def _distances(
    head: tuple, layer: int, metric: str, languages: tuple, *, steered: tuple, n_layers: int
) -> Iterator[tuple]:
    """To the medoid one row a language; to a target one row a language and target."""
    targets = (
        ("*",) if metric == "distance_medoid" else tuple(t for t in steered if head[1] in ("", t))
    )
    for source in languages:
        for target in targets:
            if source != target:
                value = _level(metric, layer, n_layers) - SHIFT[head[0]] * layer / n_layers
                yield _row((*head, layer, source, target, metric), value, interval=False)


def _rows(languages: tuple[str, ...], steered: tuple[str, ...], n_layers: int) -> Iterator[tuple]:
    rng = np.random.default_rng(0)
    for language in ("", *steered):
        for edit, seed in EDITS:
            if (language == "") != (edit in ("none", "centring")):
                continue
            k = 50 if edit in ("clamp", "random") else 0
            head = (edit, language, k, float(k > 0), seed)
            ends = [("*", "*")] + ([(language, "*"), ("*", language)] if language else [])
            own = rng.normal(0, 0.015 if edit == "clamp" else 0.003)
            for layer in range(n_layers + 2):
                for metric in METRICS:
                    if metric in ("distance_medoid", "distance_target"):
                        yield from _distances(
                            head, layer, metric, languages, steered=steered, n_layers=n_layers
                        )
                        continue
                    for source, target in ends:
                        move = SHIFT[edit] + own * layer / n_layers + rng.normal(0, 0.002)
                        move = 0.0 if edit == "none" or layer == 0 else move
                        where = (layer, source, target)
                        level = _level(metric, layer, n_layers) + move
                        yield _row((*head, *where, metric), level, interval=True)
                        if edit != "none" and not metric.startswith("distance"):
                            paired = (*head, *where, f"{metric}.delta")
                            yield _row(paired, move, interval=True)
            if edit in ("none", "clamp"):
                for source, target in permutations(languages, 2):
                    level = _level("retrieval_top1", n_layers // 2, n_layers) + rng.normal(
                        SHIFT[edit], 0.05
                    )
                    where = (n_layers // 2, source, target)
                    yield _row((*head, *where, "retrieval_top1"), level, interval=False)


def synthetic(
    languages: tuple[str, ...] = LANGUAGES,
    steered: tuple[str, ...] = ("fra_Latn", "jpn_Jpan", "swh_Latn"),
    n_layers: int = 6,
) -> ReportData:
    """A report's data that looks like a study's and was never measured."""
    rng = np.random.default_rng(1)
    counts = pd.DataFrame(
        [
            (language, layer, int(count))
            for language in languages
            for layer, count in enumerate(rng.multinomial(50, rng.dirichlet(np.ones(n_layers))))
        ],
        columns=["language", "layer", "count"],
    )
    experts = pd.DataFrame(
        {
            "language": np.repeat(languages, 50),
            "rank": np.tile(np.arange(1, 51), len(languages)),
            "layer": rng.integers(0, n_layers, 50 * len(languages)),
            "neuron": rng.integers(0, 768, 50 * len(languages)),
            "ap": np.tile(np.linspace(0.99, 0.6, 50), len(languages)),
            "auroc": np.tile(np.linspace(0.999, 0.9, 50), len(languages)),
            "effect_size": rng.uniform(1, 4, 50 * len(languages)),
            "value": rng.normal(1, 0.5, 50 * len(languages)),
            "prevalence": 1 / len(languages),
        }
    )
    return ReportData(
        manifest={
            "schema": 1,
            "model": {"name": "synthetic-6l", "config_hash": "d2" * 32},
            "corpus": {"name": "synthetic sentences", "fingerprint": "a7" * 32},
            "versions": {"mechsteer": "0.1.0", "torch": "2.13.0", "transformer-lens": "4.3.0"},
            "seeds": [0, 1, 2],
        },
        results=pd.DataFrame(_rows(languages, steered, n_layers), columns=list(COLUMNS)),
        experts=experts,
        counts=counts,
        chosen_layer=dict.fromkeys(steered, n_layers // 2),
        n_layers=n_layers,
        n_sentences=120,
        command="mechsteer study synthetic-6l --edit clamp --k 50 --seeds 3",
    )


@pytest.fixture(scope="session")
def data() -> ReportData:
    return synthetic()


@pytest.fixture(scope="session")
def make() -> Callable[..., ReportData]:
    """Synthetic data of any size."""
    return synthetic


@pytest.fixture(scope="session")
def small() -> ReportData:
    """Three languages, one of them steered: quick to render."""
    return synthetic(LANGUAGES[:3], steered=("fra_Latn",), n_layers=3)
