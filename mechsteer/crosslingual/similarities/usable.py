"""Which predictors a sample of languages can tell apart; the others are left out, and said so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mechsteer.errors import MechsteerError
from mechsteer.pairwise import mrm

FEWEST = 19  # permutations of a trial fit, whose numbers nobody reads


def usable(
    response: np.ndarray, predictors: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Predictors in their order, each kept if a regression with those before it can be fitted.

    Returns:
        Those kept, and why the others are not, by name.
    """
    kept: dict[str, np.ndarray] = {}
    dropped: dict[str, str] = {}
    for name, matrix in predictors.items():
        try:
            mrm({"response": response}, {**kept, name: matrix}, permutations=FEWEST)
        except MechsteerError as error:
            dropped[name] = str(error)
        else:
            kept[name] = matrix
    return kept, dropped
