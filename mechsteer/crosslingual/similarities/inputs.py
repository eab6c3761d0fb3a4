"""What is explained by what: responses of a study, distances of its languages, their lineages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xxhash
from jaxtyping import Float

from mechsteer import typology
from mechsteer.artifacts.files import content_hash
from mechsteer.crosslingual.similarities.responses import (
    Response,
    languages_of,
    responses_of,
    responses_of_transfer,
)
from mechsteer.crosslingual.similarities.singles import characteristics_of
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.studies import Study

Matrices = Mapping[str, Float[np.ndarray, "language language"]]
FEWEST = 5  # languages: fewer can be relabelled in too few ways to tell anything


@dataclass(frozen=True)
class Inputs:
    """Matrices of the same languages, in one order.

    Attributes:
        languages: canonical names.
        responses: what is explained.
        predictors: by what; NaN is unknown.
        lineages: the branches of Glottolog's tree above each language, the family first; none where
            it is unknown, or no data are at hand.
        characteristics: one row a language, one column a characteristic.
    """

    languages: tuple[str, ...]
    responses: tuple[Response, ...]
    predictors: Matrices
    lineages: Mapping[str, tuple[str, ...]]
    characteristics: pd.DataFrame

    @cached_property
    def digest(self) -> str:
        """A hash of all of it: equal inputs have equal ones."""
        return content_hash(
            {
                "languages": list(self.languages),
                "responses": [[r.name, r.layer, _digest(r.values)] for r in self.responses],
                "predictors": [[name, _digest(m)] for name, m in self.predictors.items()],
                "lineages": {code: list(above) for code, above in self.lineages.items()},
                "characteristics": self.characteristics.to_csv(),
            }
        )


def gathered(
    study: Study,
    *,
    kinds: Sequence[str],
    predictors: Matrices | None = None,
    responses: Matrices | None = None,
    transfer: Transfer | None = None,
    characteristics: pd.DataFrame | None = None,
    least_coverage: float = 0.0,
    data: Path | None = None,
) -> Inputs:
    """Responses and predictors of a study's languages; the arguments are ``similarity``'s.

    Raises:
        MechsteerError: single pairs of fewer than five languages, or data that are missing.
    """
    languages = languages_of(study)
    if len(languages) < FEWEST:
        raise MechsteerError(
            f"expected single pairs of five languages or more, got {len(languages)} "
            f"({', '.join(languages)}): no test of fewer can tell anything"
        )
    found = responses_of(study)
    if transfer is not None:
        found += responses_of_transfer(transfer, languages, study.places)
    found += [
        Response("given", name, -1, "", np.asarray(m)) for name, m in (responses or {}).items()
    ]
    known = _distances(languages, kinds, least_coverage, data) | dict(predictors or {})
    single = characteristics_of(languages, characteristics, data)
    return Inputs(languages, tuple(found), known, _lineages(languages, data), single)


def _distances(
    languages: tuple[str, ...], kinds: Sequence[str], least: float, data: Path | None
) -> dict[str, Float[np.ndarray, "language language"]]:
    if not kinds:
        return {}
    found = typology.distances(languages, kinds=kinds, data=data)
    return dict(found.known(least).values if least else found.values)


def _lineages(languages: tuple[str, ...], data: Path | None) -> dict[str, tuple[str, ...]]:
    """Only the tree of a figure needs them: without data there is none."""
    try:
        return typology.lineages(languages, data=data)
    except CorpusError:
        return dict.fromkeys(languages, ())


def _digest(values: np.ndarray) -> str:
    plain = np.ascontiguousarray(values, dtype=np.float64)
    return f"{plain.shape}{xxhash.xxh3_128_hexdigest(plain.tobytes())}"
