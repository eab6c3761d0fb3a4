"""Does alignment, and its gain under an edit, follow how alike languages are?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from mechsteer.artifacts.runs import Run
from mechsteer.crosslingual.similarities.found import Similarity
from mechsteer.crosslingual.similarities.inputs import Inputs, Matrices, gathered
from mechsteer.crosslingual.similarities.responses import Response
from mechsteer.crosslingual.similarities.singles import of_languages
from mechsteer.crosslingual.similarities.sources import rankings
from mechsteer.crosslingual.similarities.usable import usable
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.errors import MechsteerError
from mechsteer.options.likeness import KINDS
from mechsteer.pairwise import importance, mantel, mrm, predict_unseen
from mechsteer.studies import Study
from mechsteer.studies.files import load_study


def similarity(
    study: Study | str | Path,
    *,
    kinds: Sequence[str] = KINDS,
    predictors: Matrices | None = None,
    responses: Matrices | None = None,
    transfer: Transfer | None = None,
    characteristics: pd.DataFrame | None = None,
    least_coverage: float = 0.0,
    permutations: int = 999,
    seed: int = 0,
    data: Path | None = None,
) -> Similarity:
    """Explain what a study found of each pair of languages by the distances of languages.

    Responses are retrieval and alignment of every ordered pair without an edit, and their gain
    under each edit and control at its chosen dose, at every layer that the study kept pairs of.
    Predictors that these languages cannot tell apart are left out, and named in ``notes``. All is
    association: pairs share languages, languages share families and places.

    Args:
        study: A study, or the folder of a run.
        kinds: Distances of ``ms.typology.distances``.
        predictors: More of them, [language, language] in the order of
            ``mechsteer.crosslingual.similarities.languages_of(study)``; NaN is unknown.
        responses: More of them, likewise.
        transfer: Of the same model: its accuracy of single pairs becomes responses too.
        characteristics: Of single languages, beside script, family and word order: one row a
            language in the same order (fertility, share of the training data), missing is missing.
        least_coverage: Distances that stand on a smaller share of features are unknown.
        permutations: Of languages, for every p-value.
        seed: Of the permutations.
        data: The folder that holds ``typology/``; ``$MECHSTEER_DATA`` by default.

    Raises:
        MechsteerError: A study without single pairs or with fewer than five languages, no predictor
            that can be used, no response that differs between pairs, or data that are missing.
    """
    if not isinstance(study, Study):
        study = load_study(Run.open(Path(study)))
    inputs = gathered(
        study, kinds=kinds, predictors=predictors, responses=responses, transfer=transfer,
        characteristics=characteristics, least_coverage=least_coverage, data=data,
    )  # fmt: skip
    return explained(inputs, permutations=permutations, seed=seed)


def explained(inputs: Inputs, *, permutations: int, seed: int) -> Similarity:
    """``similarity`` of matrices that are gathered."""
    languages, responses, predictors = inputs.languages, inputs.responses, inputs.predictors
    varied = [r for r in responses if len(np.unique(_off(r.values))) > 1]
    if not varied:
        raise MechsteerError(
            "every response is the same for all pairs: there is nothing to explain"
        )
    kept, dropped = usable(varied[0].values, predictors)
    if not kept:
        raise MechsteerError(f"no predictor can be used: {'; '.join(dropped.values())}")
    named = {response.name: response.values for response in varied}
    together, shares = (
        mrm(named, kept, permutations=permutations, seed=seed),
        importance(named, kept),
    )
    unseen = predict_unseen(named, kept)
    frames = [
        _rows(
            response,
            together[response.name].table(),
            shares[response.name].table(),
            _alone(response.values, kept, permutations=permutations, seed=seed),
        ).assign(r2_unseen=unseen[response.name].r2)
        for response in varied
    ]
    left = len(responses) - len(varied)
    notes = [f"Left out: {name}: {why}." for name, why in dropped.items()]
    notes += [f"{left} responses are the same for all pairs."] if left else []
    single, of_single = of_languages(
        varied, inputs.characteristics, permutations=permutations, seed=seed
    )
    ranked, of_ranked = rankings(varied, kept, languages)
    return Similarity(
        pd.concat(frames, ignore_index=True),
        _pairs(languages, varied, predictors),
        _placed(languages, inputs.lineages),
        single,
        ranked,
        (*notes, *of_single, *of_ranked),
    )


def _off(values: Float[np.ndarray, "language language"]) -> Float[np.ndarray, " pair"]:
    known = np.isfinite(values) & ~np.eye(len(values), dtype=bool)
    found: Float[np.ndarray, " pair"] = values[known]
    return found


def _alone(
    values: Float[np.ndarray, "language language"],
    predictors: Matrices,
    *,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Each predictor by itself, on values and on ranks."""
    rows = []
    for name, matrix in predictors.items():
        plain, ranks = (
            mantel(values, matrix, method=method, permutations=permutations, seed=seed)
            for method in ("pearson", "spearman")
        )
        rows.append((name, plain.r, plain.p, ranks.r, ranks.p))
    return pd.DataFrame(rows, columns=["predictor", "r", "p", "r_ranks", "p_ranks"])


def _rows(
    response: Response, together: pd.DataFrame, shares: pd.DataFrame, alone: pd.DataFrame
) -> pd.DataFrame:
    beside = together.rename(columns={"standardised": "beta", "p": "p_together"})
    beside = beside[["predictor", "beta", "p_together", "p_holm"]]
    of_r2 = shares[["predictor", "share", "low", "high", "r2", "n_pairs", "n_languages"]]
    rows = alone.merge(beside, on="predictor").merge(of_r2, on="predictor")
    for at, column in enumerate(("state", "metric", "layer", "place")):
        rows.insert(at, column, getattr(response, column))
    return rows


def _pairs(
    languages: tuple[str, ...], responses: Sequence[Response], predictors: Matrices
) -> pd.DataFrame:
    """One row an ordered pair and response, distances beside it."""
    source, target = np.nonzero(~np.eye(len(languages), dtype=bool))
    names = np.array(languages, dtype=object)
    frames = []
    for response in responses:
        frame = pd.DataFrame({"source": names[source], "target": names[target]})
        for column in ("state", "metric", "layer", "place"):
            frame[column] = getattr(response, column)
        frame["value"] = response.values[source, target]
        for name, matrix in predictors.items():
            frame[name] = matrix[source, target]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _placed(languages: tuple[str, ...], lineages: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """One row a language: its branches in Glottolog's tree, the family first."""
    above = [" > ".join(lineages.get(code, ())) for code in languages]
    return pd.DataFrame({"language": list(languages), "lineage": above})
