"""xlanalysis5k again: do its conclusions stand when languages, not pairs, are permuted?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from experiments.linguistic_similarity.explained import LEVEL, explained
from experiments.linguistic_similarity.published_distances import (
    KINDS,
    places,
    uriel_vectors,
    wrong_families,
)
from mechsteer.typology import PublishedPairs
from mechsteer.typology.catalogue import directions, geo_vectors
from mechsteer.typology.features import cosine_distances

MODELS = ("LaBSE", "LASER")
MEASURES = {  # of alignment, and whether more is better
    "F1-score": 1,
    "Average margin score": 1,
    "Gromov-Hausdorff dist.": -1,
    "Singular value gap": -1,
    "ECOND-HM": -1,
}
OWN, FAMILY = "training sentences", "sentences of the family"
PREDICTORS = {
    OWN: "Combined sentences ({})",
    FAMILY: "Combined in-family sentences ({})",
    "same family": "Same Family?",
    "same genus": "Same Genus?",
    "shared characters": "Character-level Overlap (multiset Jaccard coefficient, Book of Matthew)",
    "shared words": "Token-level Overlap (multiset Jaccard coefficient, Book of John)",
    "same word order": "Same Word Order?",
    "same polysynthesis": "Same Polysynthesis Status?",
    "geographic": "Geographic Distance (lang2vec)",
    "inventory": "Inventory Distance (lang2vec)",
    "syntactic": "Syntactic Distance (lang2vec)",
    "phonological": "Phonological Distance (lang2vec)",
}
CONCLUSIONS = {
    "word order agreement goes with alignment": ("same word order", 1),
    "agreement in morphological complexity goes with alignment": ("same polysynthesis", 1),
    "in-family training data goes with alignment": (FAMILY, 1),
    "training data of both languages goes with alignment": (OWN, 1),
}


def reanalysis(published: PublishedPairs, folder: Path, *, permutations: int) -> pd.DataFrame:
    """Rows for each reading of the data, model, measure of alignment and predictor."""
    everything = list(range(len(published.codes)))
    mended = _mended(published, folder)
    tables = []
    for model in MODELS:
        for texts, rows, values in (
            ("as published", everything, published.measures.values),
            ("one text a language, codes mended", _one_text(published, folder), mended),
        ):
            found = _one(model, rows, values, published, permutations)
            found.insert(0, "model", model)
            found.insert(0, "texts", texts)
            tables.append(found)
    return pd.concat(tables, ignore_index=True)


def conclusions(table: pd.DataFrame) -> pd.DataFrame:
    """Of ten measures of alignment, how many agree with each conclusion, and how surely."""
    rows = []
    signs = table["response"].map(MEASURES)
    for texts, part in table.groupby("texts", sort=False):
        for said, (predictor, sign) in CONCLUSIONS.items():
            own = part[part["predictor"] == predictor]
            right = np.sign(own["standardised"]) * signs[own.index] == sign
            rows.append(
                {
                    "texts": texts,
                    "conclusion": said,
                    "measures": len(own),
                    "right_sign": int(right.sum()),
                    "pairs_independent": int((right & (own["naive_p"] < LEVEL)).sum()),
                    "languages_permuted": int((right & (own["p"] < LEVEL)).sum()),
                    "and_holm": int((right & (own["p_holm"] < LEVEL)).sum()),
                    "median_share": float(own["share"].median()),
                }
            )
        rows += [_family_first(str(texts), part, column) for column in ("share", "alone")]
    counts = dict.fromkeys(("pairs_independent", "languages_permuted", "and_holm"), "Int64")
    return pd.DataFrame(rows).astype(counts)


def _family_first(texts: str, part: pd.DataFrame, column: str) -> dict[str, object]:
    """In-family data against the languages' own: share of explained variance, or R2 alone."""
    keys = ["model", "response"]
    family, own = (part[part["predictor"] == name].set_index(keys) for name in (FAMILY, OWN))
    how = {"share": "beside the others", "alone": "each by itself"}[column]
    return {
        "texts": texts,
        "conclusion": f"in-family data explains more than that of the two languages, {how}",
        "measures": len(own),
        "right_sign": int((family[column] > own[column]).sum()),
        "median_share": float((family[column] - own[column]).median()),
    }


def _one(
    model: str,
    rows: list[int],
    values: dict[str, np.ndarray],
    published: PublishedPairs,
    permutations: int,
) -> pd.DataFrame:
    grid = np.ix_(rows, rows)
    predictors = {}
    for name, column in PREDICTORS.items():
        matrix = values[column.format(model)][grid]
        predictors[name] = np.log1p(matrix) if name in {OWN, FAMILY} else matrix
    responses = {name: values[f"{name} ({model}, average)"][grid] for name in MEASURES}
    names = [published.measures.languages[row] for row in rows]
    return explained(responses, predictors, names, permutations=permutations)


def _one_text(published: PublishedPairs, folder: Path) -> list[int]:
    """The first text of each language, without languages whose code is of another family."""
    wrong = {name for name, *_ in wrong_families(folder, published)}
    rows, seen = [], set()
    order = sorted(
        range(len(published.codes)), key=lambda row: len(published.measures.languages[row])
    )
    for row in order:
        code = published.codes[row]
        if code not in seen and published.measures.languages[row] not in wrong:
            rows.append(row)
            seen.add(code)
    return sorted(rows)


def _mended(published: PublishedPairs, folder: Path) -> dict[str, np.ndarray]:
    """The study's values, with distances of the codes that its table lists."""
    values = dict(published.measures.values)
    for kind in KINDS:
        vectors = uriel_vectors(folder, kind, published.codes)
        values[PREDICTORS[kind]] = cosine_distances(vectors)
    geo = geo_vectors(directions(*places(folder, published.codes).T))
    values[PREDICTORS["geographic"]] = cosine_distances(geo)
    return values
