"""Matrices of language pairs whose truth is known: effects of languages, places, noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Matrix = Float[np.ndarray, "language language"]


def of_languages(
    rng: np.random.Generator, n: int, *, share: float = 0.5, ordered: bool = False
) -> Matrix:
    """Unit variance, ``share`` of it from the two languages of a pair."""
    source = rng.normal(size=n)
    target = rng.normal(size=n) if ordered else source
    own = rng.normal(size=(n, n))
    own = own if ordered else (own + own.T) / np.sqrt(2)
    return np.sqrt(share / 2) * (source[:, None] + target) + np.sqrt(1 - share) * own


def of_places(rng: np.random.Generator, n: int, dimensions: int = 2) -> Matrix:
    """Standardised distances of random places."""
    place = rng.normal(size=(n, dimensions))
    apart = np.linalg.norm(place[:, None] - place, axis=-1)
    pairs = apart[np.triu_indices(n, 1)]
    return (apart - pairs.mean()) / pairs.std()
