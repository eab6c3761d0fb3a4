"""What ``ms.similarity`` and ``ms.transfer`` could have found of a synthetic study."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd

from mechsteer.crosslingual import Similarity, Transfer
from mechsteer.crosslingual.similarities.found import TABLES
from mechsteer.studies.conditions import BASE, CENTRING, Condition
from mechsteer.studies.results import COLUMNS

PREDICTORS = ("genetic", "syntactic", "script")
FAMILIES = {
    "eng_Latn": "Indo-European > Germanic", "deu_Latn": "Indo-European > Germanic",
    "fra_Latn": "Indo-European > Italic > Romance", "spa_Latn": "Indo-European > Italic > Romance",
    "rus_Cyrl": "Indo-European > Balto-Slavic", "ell_Grek": "Indo-European > Graeco-Phrygian",
    "hin_Deva": "Indo-European > Indo-Iranian", "arb_Arab": "Afro-Asiatic > Semitic",
}  # fmt: skip
KEYS = ["state", "metric", "layer", "place"]


def similarity(languages: tuple[str, ...], edit: str = "clamp fra_Latn") -> Similarity:
    """Responses of a base, an edit and its control at two layers; syntax holds for the base."""
    rng = np.random.default_rng(4)
    pairs = list(permutations(languages, 2))
    apart = {name: rng.random(len(pairs)) for name in PREDICTORS}
    apart["script"] = np.array([float(a[-4:] != b[-4:]) for a, b in pairs])
    name, _, language = edit.rpartition(" ")
    states = [
        ("none", "retrieval_top1"),
        ("none", "mexa"),
        (edit, "retrieval_top1.delta"),
        (f"{name} on random neurons {language}", "retrieval_top1.delta"),
    ]
    effects, values = [], []
    for state, metric in states:
        for layer, place in ((3, "best_layer"), (6, "last_block")):
            key = dict(zip(KEYS, (state, metric, layer, place), strict=True))
            for at, predictor in enumerate(PREDICTORS):
                share = (0.05, 0.3, 0.1)[at] + 0.01 * layer / 6
                holds = state == "none" and predictor == "syntactic"
                effects.append(
                    key
                    | {"predictor": predictor, "r": -share, "p": 0.01, "r_ranks": -share}
                    | {"p_ranks": 0.02, "beta": -share, "p_together": 0.01}
                    | {"p_holm": 0.003 if holds else 0.4, "share": share, "low": share - 0.04}
                    | {"high": share + 0.2, "r2": 0.46, "n_pairs": len(pairs)}
                    | {"n_languages": len(languages), "r2_unseen": 0.25 if holds else -0.1}
                )
            level = 0.6 if state == "none" else -0.05
            frame = pd.DataFrame(pairs, columns=["source", "target"]).assign(**key)
            values.append(frame.assign(value=level + rng.normal(0, 0.05, len(pairs)), **apart))
    lineages = pd.DataFrame({"language": languages}).assign(
        lineage=[FAMILIES.get(code, "") for code in languages]
    )
    given = {
        "effects": pd.DataFrame(effects),
        "pairs": pd.concat(values, ignore_index=True),
        "languages": lineages,
    }
    given["characteristics"] = pd.DataFrame(
        {**dict(zip(KEYS, ("none", "mexa", layer, place), strict=True)), "characteristic": name}
        | {"r2": 0.25 + 0.01 * layer, "p_holm": 0.01 if name == "script" else 0.6}
        for layer, place in ((3, "best_layer"), (6, ""))
        for name in ("script", "family")
    )
    given["rankings"] = pd.DataFrame(
        dict(zip(KEYS, ("none", "transfer_accuracy", 3, "best_layer"), strict=True))
        | {"ranking": name, "ndcg": ndcg, "lead_low": ndcg - 0.4}
        for name, ndcg in (("syntactic", 0.625), ("random", 0.25))
    )
    assert {*given} == {*TABLES}
    return Similarity(**given, notes=("Left out: family: another says it all.",))


def transfer(languages: tuple[str, ...]) -> Transfer:
    """Accuracies of a base, an edit, two random seeds and centring at two layers."""
    rng = np.random.default_rng(5)
    dose = {"edit": "clamp", "language": "fra_Latn", "k": 50, "strength": 1.0}
    states = [BASE, CENTRING, Condition("edit", **dose)]
    states += [Condition("random", seed=seed, **dose) for seed in (0, 1)]
    ends = [("*", "*"), *((a, b) for a in languages for b in languages)]
    rows = []
    for condition in states:
        for layer in (2, 3):
            for source, target in ends:
                level = 0.4 + 0.1 * layer / 3 + 0.3 * (source == target != "*")
                moved = 0.0 if condition == BASE else rng.normal(-0.02, 0.01)
                told = {"accuracy": level + moved}
                told |= {"accuracy.within": level + 0.3 + moved} if source == "*" else {}
                told |= {"accuracy.delta": moved} if condition != BASE else {}
                for metric, value in told.items():
                    rows.append(
                        condition.columns()
                        | {"layer": layer, "source": source, "target": target, "metric": metric}
                        | {"value": value, "ci_low": value - 0.03, "ci_high": value + 0.03, "n": 60}
                    )
    return Transfer(
        results=pd.DataFrame(rows)[list(COLUMNS)], languages=languages, classes=("a", "b", "c"),
        layers=(2, 3), n_train=90, n_test=60, majority=0.35, provenance={},
    )  # fmt: skip
