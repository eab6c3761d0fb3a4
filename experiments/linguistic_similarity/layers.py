"""Which distances explain which layers: the published matrices of five models, or any others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from experiments.linguistic_similarity.explained import explained, ranked
from mechsteer.typology import LayerSimilarities, distances, read_layers

KINDS = ("genetic", "geographic", "syntactic", "phonological", "inventory", "lexical", "script")
WORDS = 0.7  # of ASJP's 40 meanings that a pair needs, as ASJP's makers ask for (28)


def predictors(languages: tuple[str, ...], data: Path) -> dict[str, np.ndarray]:
    """Distances between languages that differ at all; short word lists are not taken."""
    found = distances(languages, kinds=KINDS, data=data)
    values = {**found.values, "lexical": found.known(WORDS).values["lexical"]}
    upper = np.triu_indices(len(languages), 1)
    known = {kind: matrix[upper][np.isfinite(matrix[upper])] for kind, matrix in values.items()}
    return {kind: values[kind] for kind, some in known.items() if len(set(some.tolist())) > 1}


def of_model(folder: Path, data: Path, *, permutations: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows for each layer, definition of similarity and distance; and what was read.

    ``mean`` is the mean cosine of the layer over all pairs.
    """
    held = read_layers(folder)
    by = predictors(held.languages, data)
    tables = []
    for definition, change in (("cosine", np.asarray), ("rank", ranked)):
        responses = {
            str(layer): change(matrix)
            for layer, matrix in zip(held.layers, held.values, strict=True)
        }
        table = explained(responses, by, held.languages, permutations=permutations)
        tables.append(table.assign(definition=definition))
    table = pd.concat(tables, ignore_index=True).rename(columns={"response": "layer"})
    means = zip(map(str, held.layers), np.nanmean(held.values, axis=(1, 2)), strict=True)
    table["mean"] = table["layer"].map(dict(means))
    table.insert(0, "model", held.model.removesuffix("_flores200"))
    return table.astype({"layer": int}), _read(held, by)


def _read(held: LayerSimilarities, by: dict[str, np.ndarray]) -> pd.DataFrame:
    upper = np.triu_indices(len(held.languages), 1)
    missing = {kind: int(np.isnan(matrix[upper]).sum()) for kind, matrix in by.items()}
    lost = [
        name
        for place, name in enumerate(held.languages)
        if any(np.isnan(np.delete(matrix[place], place)).all() for matrix in by.values())
    ]
    row = {
        "model": held.model.removesuffix("_flores200"),
        "layers": len(held.layers),
        "languages": len(held.languages),
        "pairs": len(upper[0]),
        "left_out": " ".join(lost),
        "pairs_without": "; ".join(f"{kind} {n}" for kind, n in missing.items() if n),
        "constant": " ".join(kind for kind in KINDS if kind not in by),
        "notes": "; ".join(held.notes),
    }
    return pd.DataFrame([row])
