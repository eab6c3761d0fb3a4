"""Which distances explain which layers: the published matrices of five models, or any others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.linguistic_similarity.explained import explained, ranked
from mechsteer.crosslingual.similarities.usable import usable
from mechsteer.errors import CorpusError
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


def of_model(
    folder: Path,
    data: Path,
    *,
    permutations: int,
    only: Sequence[str] | None = None,
    name: str = "",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows for each layer, definition of similarity and distance; and what was read.

    Layers at which all pairs are equally similar, and distances that these languages cannot tell
    apart, are left out and named.

    Args:
        folder: The matrices of a model.
        data: The folder that holds the databases.
        permutations: Of languages.
        only: Some of the languages, canonical; all by default.
        name: Of the model; that of its folder by default.

    Returns:
        The rows, where ``mean`` is the mean cosine of the layer over all pairs; one row of what was
        read.

    Raises:
        MechsteerError: Matrices that cannot be read, or no layer whose pairs differ.
    """
    held = among(read_layers(folder), only)
    whole = {str(layer): m for layer, m in zip(held.layers, held.values, strict=True)}
    varied = {layer: m for layer, m in whole.items() if len(np.unique(m[np.isfinite(m)])) > 1}
    if not varied:
        raise CorpusError(f"{folder}: all pairs are equally similar at every layer")
    by, dropped = usable(next(iter(varied.values())), predictors(held.languages, data))
    if not by:
        raise CorpusError(f"{folder}: no distance can be used: {'; '.join(dropped.values())}")
    tables = []
    for definition, change in (("cosine", np.asarray), ("rank", ranked)):
        responses = {layer: change(matrix) for layer, matrix in varied.items()}
        table = explained(responses, by, held.languages, permutations=permutations)
        tables.append(table.assign(definition=definition))
    table = pd.concat(tables, ignore_index=True).rename(columns={"response": "layer"})
    table["mean"] = table["layer"].map({layer: np.nanmean(m) for layer, m in varied.items()})
    model = name or held.model.removesuffix("_flores200")
    table.insert(0, "model", model)
    flat = [f"all pairs are equal at layer {layer}" for layer in whole if layer not in varied]
    held = replace(held, model=model, notes=(*held.notes, *flat))
    return table.astype({"layer": int}), _read(held, by)


def among(held: LayerSimilarities, only: Sequence[str] | None) -> LayerSimilarities:
    """The matrices of some languages.

    Raises:
        CorpusError: One of them is not there.
    """
    if only is None:
        return held
    if absent := [language for language in only if language not in held.languages]:
        raise CorpusError(f"expected languages of {held.model}, got {', '.join(absent)}")
    rows = [held.languages.index(language) for language in only]
    values = held.values[:, rows][:, :, rows]
    return replace(held, languages=tuple(only), values=values)


def _read(held: LayerSimilarities, by: Mapping[str, np.ndarray]) -> pd.DataFrame:
    upper = np.triu_indices(len(held.languages), 1)
    missing = {kind: int(np.isnan(matrix[upper]).sum()) for kind, matrix in by.items()}
    measured = np.where(np.isfinite(held.values).any(axis=0), 1.0, np.nan)
    lost = [
        name
        for place, name in enumerate(held.languages)
        if any(
            np.isnan(np.delete(matrix[place], place)).all() for matrix in (measured, *by.values())
        )
    ]
    row = {
        "model": held.model,
        "layers": len(held.layers),
        "languages": len(held.languages),
        "pairs": len(upper[0]),
        "left_out": " ".join(lost),
        "pairs_without": "; ".join(f"{kind} {n}" for kind, n in missing.items() if n),
        "constant": " ".join(kind for kind in KINDS if kind not in by),
        "notes": "; ".join(held.notes),
    }
    return pd.DataFrame([row])
