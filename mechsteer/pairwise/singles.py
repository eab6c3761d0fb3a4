"""Do numbers of single languages follow what is known of them? Permutation tests over languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata

from mechsteer.errors import MechsteerError, shown
from mechsteer.options import records, takes
from mechsteer.options.likeness import Permuting
from mechsteer.pairwise.correction import benjamini_hochberg, holm
from mechsteer.pairwise.sample import LEAST

_TIE = 1e-9
Kind = Literal["number", "group"]


@dataclass(frozen=True)
class Characteristic:
    """One characteristic of languages, by which their numbers may differ.

    Attributes:
        characteristic: Its name.
        kind: ``number`` (ranked), or ``group`` (a name: script, say).
        r: Spearman's correlation; None of groups.
        r2: Share of the variance of the response's ranks that it explains: ``r^2``, or of groups
            that between them.
        chance: The mean ``r2`` of permuted languages: many small groups explain much of anything.
        p: ``(1 + #{r2* >= r2}) / (1 + permutations)``.
        n_languages: Languages of which both are known.
        n_groups: How many groups they make; 0 of a number.
    """

    characteristic: str
    kind: Kind
    r: float | None
    r2: float
    chance: float
    p: float
    n_languages: int
    n_groups: int


@dataclass(frozen=True)
class Singles:
    """One number of each language, by each characteristic alone.

    Attributes:
        response: Its name.
        found: One of each characteristic that can be told.
        left_out: The other characteristics, each with the reason.
        permutations: How many.
    """

    response: str
    found: tuple[Characteristic, ...]
    left_out: Mapping[str, str]
    permutations: int

    def table(self) -> pd.DataFrame:
        """One row a characteristic, p also corrected over characteristics by Holm and by BH."""
        rows = pd.DataFrame([vars(one) for one in self.found]).astype({"r": "Float64"})
        p = rows["p"].to_numpy(dtype=np.float64)
        rows = rows.assign(p_holm=holm(p), p_bh=benjamini_hochberg(p))
        rows.insert(0, "response", self.response)
        return rows


@takes(Permuting)
def explain_languages(
    responses: Mapping[str, np.ndarray], characteristics: pd.DataFrame, **options: Any
) -> dict[str, Singles]:
    """Which characteristics of languages go with a number of each: mean similarity, gain.

    Each characteristic is tested alone and on ranks, over the languages of which it and the number
    are known: numbers by Spearman's correlation, groups by the variance between them (Kruskal and
    Wallis's statistic). Languages of one family are alike in much, so all of it is association.

    Args:
        responses: Name to one number a language; NaN is unknown.
        characteristics: One row a language in the same order, one column a characteristic; text
            makes groups, missing is missing.
        **options: how languages are permuted.

    Raises:
        MechsteerError: No response or characteristic, lengths that differ, infinities, a response
            that is constant or known of fewer than five languages, or no characteristic that can
            be told.

    Source: Edgington and Onghena 2007 (permutation tests); Holm 1979.
    """
    (asked,) = records(options, Permuting)
    if not responses or characteristics.empty:
        raise MechsteerError("expected one response and one characteristic or more, got none")
    return {
        name: _of_response(name, np.asarray(y, dtype=np.float64), characteristics, asked)
        for name, y in responses.items()
    }


def _of_response(
    name: str, y: Float[np.ndarray, " language"], table: pd.DataFrame, asked: Permuting
) -> Singles:
    if y.shape != (len(table),) or np.isinf(y).any():
        raise MechsteerError(
            f"expected a number of each of {len(table)} languages in {shown(name)}, got "
            f"{'infinity' if y.shape == (len(table),) else f'shape {y.shape}'}"
        )
    known = y[np.isfinite(y)]
    if len(known) < LEAST or np.ptp(known) == 0:
        raise MechsteerError(
            f"expected {LEAST} languages or more that differ in {shown(name)}, got {len(known)}"
        )
    found, left_out = [], {}
    for column in table.columns:
        try:
            found.append(_tested(str(column), y, table[column], asked))
        except MechsteerError as error:
            left_out[str(column)] = str(error)
    if not found:
        raise MechsteerError(f"no characteristic can be told: {'; '.join(left_out.values())}")
    return Singles(name, tuple(found), left_out, asked.permutations)


def _tested(
    name: str, y: Float[np.ndarray, " language"], column: pd.Series, asked: Permuting
) -> Characteristic:
    there = np.isfinite(y) & column.notna().to_numpy()
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    basis, groups = _basis(name, column[there], number=number)
    ranks = rankdata(y[there])
    ranks = ranks - ranks.mean()
    if not ranks.any():
        raise MechsteerError(f"{name}: the response is the same for all languages it is known of")
    own = float(_explained(basis, ranks[None])[0])
    nulls = np.concatenate(
        [_explained(basis, ranks[orders]) for orders in _orders(len(ranks), asked)]
    )
    beaten = int((nulls >= own * (1 - _TIE)).sum())
    r = float(basis[:, 0] @ ranks / np.linalg.norm(ranks)) if number else None
    p = (1 + beaten) / (1 + asked.permutations)
    kind: Kind = "number" if number else "group"
    return Characteristic(name, kind, r, own, float(nulls.mean()), p, len(ranks), groups)


def _basis(
    name: str, known: pd.Series, *, number: bool
) -> tuple[Float[np.ndarray, "language column"], int]:
    """Orthonormal columns that span what a characteristic can say, and the number of its groups."""
    if number and not np.isfinite(known.to_numpy(dtype=np.float64)).all():
        raise MechsteerError(f"{name}: expected finite numbers; leave unknown ones empty")
    kinds, group, counts = np.unique(
        known.to_numpy(dtype=np.float64 if number else str), return_inverse=True, return_counts=True
    )
    if len(known) < LEAST or len(kinds) < 2 or (not number and counts.max() < 2):
        raise MechsteerError(
            f"{name}: expected {LEAST} languages or more that it is known of and parts, got "
            f"{len(known)} in {len(kinds)} kinds"
        )
    if number:
        ranks = rankdata(known.to_numpy(dtype=np.float64))
        return ((ranks - ranks.mean()) / np.linalg.norm(ranks - ranks.mean()))[:, None], 0
    return np.eye(len(kinds))[group] / np.sqrt(counts), len(kinds)


def _explained(
    basis: Float[np.ndarray, "language column"], ranks: Float[np.ndarray, "draw language"]
) -> Float[np.ndarray, " draw"]:
    share: Float[np.ndarray, " draw"] = ((ranks @ basis) ** 2).sum(1) / (ranks**2).sum(1)
    return share


def _orders(n: int, asked: Permuting) -> Iterator[np.ndarray]:
    """Permutations of n languages, a hundred at a time."""
    rng = np.random.default_rng(asked.seed)
    for start in range(0, asked.permutations, 100):
        size = min(100, asked.permutations - start)
        yield rng.permuted(np.tile(np.arange(n), (size, 1)), axis=1)
