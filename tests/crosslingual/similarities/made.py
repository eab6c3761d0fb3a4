"""A study of eight languages in which what the pairs follow is known; no model made it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mechsteer.studies import Study
from mechsteer.studies.conditions import Condition
from mechsteer.studies.results import COLUMNS

LANGUAGES = (
    "eng_Latn", "deu_Latn", "fra_Latn", "spa_Latn", "rus_Cyrl", "ell_Grek", "jpn_Jpan", "kor_Hang",
)  # fmt: skip
N = len(LANGUAGES)


def near(seed: int) -> np.ndarray:
    place = np.random.default_rng(seed).normal(size=(N, 2))
    return np.linalg.norm(place[:, None] - place, axis=-1)


def rows(values: np.ndarray, **named: object) -> pd.DataFrame:
    source, target = np.nonzero(~np.eye(N, dtype=bool))
    frame = pd.DataFrame(
        {
            "source": [LANGUAGES[i] for i in source],
            "target": [LANGUAGES[i] for i in target],
            "value": values[source, target],
        }
    )
    told = {"edit": "", "language": "", "k": 0, "strength": 1.0, "seed": -1} | named
    return frame.assign(ci_low=0.0, ci_high=1.0, n=50, **told)[list(COLUMNS)]


def study() -> Study:
    noise = np.random.default_rng(9).normal(size=(3, N, N))
    clamp = {"kind": "edit", "edit": "clamp", "language": "fra_Latn", "k": 5, "layer": 3}
    other = clamp | {"k": 9}
    results = pd.concat(
        [
            rows(-near(0) + 0.1 * noise[0], kind="base", metric="retrieval_top1", layer=2),
            rows(np.zeros((N, N)), kind="base", metric="mexa", layer=2),
            rows(noise[1], metric="retrieval_top1.delta", **clamp),
            rows(noise[2], metric="retrieval_top1.delta", **other),
            rows(noise[2], metric="retrieval_top1.p", **clamp),
        ]
    )
    empty = pd.DataFrame()
    return Study(
        results=results, experts=empty, counts=empty, overlap=empty, doses=empty, projection=empty,
        hubness=empty, best_layer=2, n_layers=3, final_norm=None, n_sentences=50,
        provenance={part: {"name": part} for part in ("model", "dev", "test")},
        chosen=(Condition("edit", "clamp", "fra_Latn", 5, 1.0),),
    )  # fmt: skip
