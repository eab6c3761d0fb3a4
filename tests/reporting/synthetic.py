"""A synthetic study: 12 languages, 6 layers (8 rows), 3 steered languages, 3 random seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd

from mechsteer.analysis.detection import activation_histogram, precision_recall
from mechsteer.cards import Cards
from mechsteer.reporting import ReportData
from mechsteer.studies.results import COLUMNS

LANGUAGES = (
    *("eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "rus_Cyrl", "ell_Grek"),
    *("arb_Arab", "hin_Deva", "jpn_Jpan", "zho_Hans", "tur_Latn", "swh_Latn"),
)
ARMS = (
    *(("base", "", -1), ("edit", "clamp", -1), ("random", "clamp", 0), ("random", "clamp", 1)),
    *(("random", "clamp", 2), ("centring", "", -1)),
)
SHIFT = {"base": 0.0, "edit": -0.02, "random": -0.004, "centring": 0.05}
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
        ("*",) if metric == "distance_medoid" else tuple(t for t in steered if head[2] in ("", t))
    )
    for source in languages:
        for target in targets:
            if source != target:
                value = _level(metric, layer, n_layers) - SHIFT[head[0]] * layer / n_layers
                yield _row((*head, layer, source, target, metric), value, interval=False)


def _rows(languages: tuple[str, ...], steered: tuple[str, ...], n_layers: int) -> Iterator[tuple]:
    rng = np.random.default_rng(0)
    for language in ("", *steered):
        for kind, edit, seed in ARMS:
            if (language == "") != (kind in ("base", "centring")):
                continue
            k = 50 if edit else 0
            head = (kind, edit, language, k, float(k > 0), seed)
            ends = [("*", "*")] + ([(language, "*"), ("*", language)] if language else [])
            own = rng.normal(0, 0.015 if kind == "edit" else 0.003)
            for layer in range(n_layers + 2):
                for metric in METRICS:
                    if metric in ("distance_medoid", "distance_target"):
                        yield from _distances(
                            head, layer, metric, languages, steered=steered, n_layers=n_layers
                        )
                        continue
                    for source, target in ends:
                        move = SHIFT[kind] + own * layer / n_layers + rng.normal(0, 0.002)
                        move = 0.0 if kind == "base" or layer == 0 else move
                        where = (layer, source, target)
                        level = _level(metric, layer, n_layers) + move
                        yield _row((*head, *where, metric), level, interval=True)
                        if kind != "base" and not metric.startswith("distance"):
                            paired = (*head, *where, f"{metric}.delta")
                            yield _row(paired, move, interval=True)
                        if kind == "edit" and not metric.startswith("distance"):
                            paired = (*head, *where, f"{metric}.vs_centring")
                            yield _row(paired, move - SHIFT["centring"], interval=True)
            if kind in ("base", "edit"):
                for source, target in permutations(languages, 2):
                    level = _level("retrieval_top1", n_layers // 2, n_layers) + rng.normal(
                        SHIFT[kind], 0.05
                    )
                    where = (n_layers // 2, source, target)
                    yield _row((*head, *where, "retrieval_top1"), level, interval=False)


def _overlap(languages: tuple[str, ...]) -> pd.DataFrame:
    """Neighbours in the list share most."""
    rows = [
        (a, b, 50 - 4 * abs(i - j), 1 / (1 + abs(i - j)))
        for i, a in enumerate(languages)
        for j, b in enumerate(languages)
    ]
    return pd.DataFrame(rows, columns=["language", "other", "shared", "jaccard"])


def _doses(steered: tuple[str, ...], layer: int) -> pd.DataFrame:
    base = ("base", "", "", 0, 1.0)
    rows = [(*base, "retrieval_top1", 0.3), (*base, "bits_per_byte", 2.1)]
    for language in steered:
        for k in (10, 50, 200):
            for strength in (0.5, 1.0):
                dose = ("edit", "clamp", language, k, strength)
                rows.append((*dose, "retrieval_top1", 0.3 + strength * k / 4000))
                rows.append((*dose, "bits_per_byte", 2.1 + strength * k / 1000))
    columns = ["kind", "edit", "language", "k", "strength", "metric", "value"]
    table = pd.DataFrame(rows, columns=columns).assign(layer=layer, n=120)
    return table.assign(ci_low=table["value"] - 0.02, ci_high=table["value"] + 0.02)


def _projection(languages: tuple[str, ...], steered: tuple[str, ...], layer: int) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frames = []
    arms = [("base", "", ""), ("edit", "clamp", steered[0]), ("centring", "", "")]
    for kind, edit, language in arms:
        for i, source in enumerate(languages):
            spread = 0.0 if kind == "centring" else 6.0
            columns = {
                "kind": kind,
                "edit": edit,
                "language": language,
                "layer": layer,
                "source": source,
                "sentence": np.arange(40),
                "x": rng.normal(spread * np.cos(i), 1, 40),
                "y": rng.normal(spread * np.sin(i), 1, 40),
            }
            frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True).assign(x_share=0.3, y_share=0.2)


def _hubness(steered: tuple[str, ...], layer: int) -> pd.DataFrame:
    frames = []
    for language in ("", *steered):
        for kind, edit, seed in ARMS:
            if (language == "") != (kind in ("base", "centring")):
                continue
            k = 50 if edit else 0
            head = {"kind": kind, "edit": edit, "language": language, "k": k}
            head["strength"] = float(k > 0)
            counts = np.maximum(1, 400 * 0.8 ** np.arange(40)).astype(int)
            frames.append(
                pd.DataFrame(
                    head | {"seed": seed, "layer": layer, "occurrence": np.arange(40)}
                ).assign(count=counts, skewness=1.5)
            )
    return pd.concat(frames, ignore_index=True)


TEXTS = {
    "fra_Latn": "Où va-t-elle ce soir ?",
    "jpn_Jpan": "地球そのものが大きな磁石です。",
    "swh_Latn": "مرحبا بالعالم",  # right to left, whatever its label says
}


def _cards(languages: tuple[str, ...], steered: tuple[str, ...]) -> Cards:
    """A card for each steered language, with two sentences."""
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, 300)
    positive = np.arange(300) < 60
    values[positive] += 3
    parts: dict[str, list[pd.DataFrame]] = {}
    for card, language in enumerate(steered):
        text = TEXTS.get(language, "A sentence.")
        ap = rng.uniform(0.05, 1, len(languages))
        tokens = [(1, i, i + 1, np.sin(i)) for i in range(len(text))]
        writes = [("promoted", i, f" w{i}", 9.0 - i) for i in range(1, 4)]
        writes += [("suppressed", i, "\n", i - 9.0) for i in range(1, 4)]
        own = {
            "neurons": pd.DataFrame(
                [("post", 1, 7, language, 1)],
                columns=["component", "layer", "neuron", "language", "rank"],
            ),
            "scores": pd.DataFrame({"language": languages, "ap": ap, "auroc": ap}).assign(
                effect_size=1.0, mean=0.0, median=0.0, std=1.0, prevalence=1 / len(languages)
            ),
            "histograms": activation_histogram(values, positive),
            "curves": precision_recall(values, positive),
            "sentences": pd.DataFrame(
                [(1, language, 4, 3.5, text), (2, language, 9, -0.2, "x" * 900)],
                columns=["place", "language", "sentence", "value", "text"],
            ),
            "tokens": pd.DataFrame(tokens, columns=["place", "start", "end", "value"]),
            "writes": pd.DataFrame(writes, columns=["direction", "place", "token", "logit"]),
        }
        for name, frame in own.items():
            parts.setdefault(name, []).append(frame.assign(card=card))
    return Cards(**{name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()})


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
    counts["random"] = 50 / n_layers
    counts["ap_max"] = rng.uniform(0.3, 1, len(counts))
    counts["prevalence"] = 1 / len(languages)
    return ReportData(
        overlap=_overlap(languages),
        doses=_doses(steered, n_layers // 2),
        projection=_projection(languages, steered, n_layers // 2),
        hubness=_hubness(steered, n_layers // 2),
        cards=_cards(languages, steered),
        tables={"results": "results.parquet", "experts": "page.experts.parquet"},
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


def called(names: tuple[str, ...]) -> ReportData:
    """A small study of languages with these names; its model, corpus and sentences have all."""
    data, every = synthetic(names, steered=names[:1], n_layers=2), " ".join(names)
    assert data.cards is not None
    cards = replace(
        data.cards,
        sentences=data.cards.sentences.assign(text=every),
        tokens=data.cards.tokens.assign(start=0, end=1)[:1],
        writes=data.cards.writes.assign(token=names[0]),
    )
    manifest = {"model": f"{every} \ud800", "corpus": {"name": every, every: [every]}}
    return replace(data, cards=cards, manifest=manifest, command=every)
