"""Which pairs of languages a test is over: matrices in, vectors of pairs out.

Everything else in this package reads a `Sample`. A pair is used where all its predictors and its
response are known; a symmetric matrix counts each pair once; the diagonal is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from mechsteer.errors import MechsteerError, shown

Matrix = Float[np.ndarray, "language language"]
LEAST = 5  # languages: of fewer, no permutation test can be significant at 5 %
_FLAT = 1e-10  # a spread of this share of the largest value is rounding
_COLLINEAR = 1e-8  # what a predictor must keep beside the others, as a share of its variance


@dataclass(frozen=True)
class Sample:
    """Pairs of one set of languages, with their predictors and their responses.

    Attributes:
        n_languages: Languages that have a pair; ``source`` and ``target`` count them from 0.
        kept: Which languages of the matrices those are, by place.
        symmetric: Whether each unordered pair stands once; else ordered pairs.
        source: First language of each pair.
        target: Second language of each pair.
        predictors: Names of the columns of ``x``.
        x: Predictors of each pair.
        responses: Names of the columns of ``y``.
        y: Responses of each pair.
    """

    n_languages: int
    kept: Int[np.ndarray, " kept"]
    symmetric: bool
    source: Int[np.ndarray, " pair"]
    target: Int[np.ndarray, " pair"]
    predictors: tuple[str, ...]
    x: Float[np.ndarray, "pair predictor"]
    responses: tuple[str, ...]
    y: Float[np.ndarray, "pair response"]

    @property
    def n_pairs(self) -> int:
        """How many pairs are used."""
        return len(self.source)

    @property
    def complete(self) -> bool:
        """Whether every pair of the languages is there."""
        n = self.n_languages
        return self.n_pairs == n * (n - 1) // (2 if self.symmetric else 1)

    @property
    def design(self) -> Float[np.ndarray, "pair column"]:
        """A column of ones, then the predictors."""
        return np.column_stack([np.ones(self.n_pairs), self.x])

    def with_values(
        self, x: Float[np.ndarray, "pair predictor"], y: Float[np.ndarray, "pair response"]
    ) -> Sample:
        """The same pairs with other values."""
        return replace(self, x=x, y=y)

    def apart(self) -> Iterator[Sample]:
        """The same pairs with each response by itself."""
        for place, name in enumerate(self.responses):
            yield replace(self, responses=(name,), y=self.y[:, [place]])


def samples(
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    languages: Sequence[str] | None = None,
) -> Iterator[Sample]:
    """One sample for each set of pairs: responses that miss the same pairs stand together.

    A matrix with values on one side of its diagonal alone is read as symmetric. Pairs are ordered
    as soon as one response or predictor is asymmetric.

    Args:
        responses: Name to matrix [language, language]; NaN is unknown.
        predictors: Likewise.
        languages: Names for messages; numbers by default.

    Raises:
        MechsteerError: No response or predictor, matrices of different shapes or with infinities,
            fewer than five languages, too few pairs for the predictors, or a column that is
            constant or follows from the others.
    """
    ys, xs = matrices_of(responses, predictors, languages)
    symmetric = all(_is_symmetric(m) for m in (*ys.values(), *xs.values()))
    if symmetric:
        ys, xs = ({k: _mirrored(m) for k, m in group.items()} for group in (ys, xs))
    size = len(next(iter(ys.values())))
    known_x = np.all([np.isfinite(m) for m in xs.values()], axis=0) & ~np.eye(size, dtype=bool)
    known_x &= np.triu(np.ones((size, size), dtype=bool)) if symmetric else True
    groups: dict[bytes, tuple[Bool[np.ndarray, "language language"], list[str]]] = {}
    for name, matrix in ys.items():
        known = known_x & np.isfinite(matrix)
        groups.setdefault(known.tobytes(), (known, []))[1].append(name)
    for known, names in groups.values():
        found = _sample(known, symmetric, {name: ys[name] for name in names}, xs)
        _check(found)
        yield found


def matrices_of(
    responses: Mapping[str, np.ndarray],
    predictors: Mapping[str, np.ndarray],
    languages: Sequence[str] | None = None,
) -> tuple[dict[str, Matrix], dict[str, Matrix]]:
    """Responses and predictors as float64 without a diagonal, one-sided ones mirrored.

    Raises:
        MechsteerError: No response or predictor, matrices of different shapes or with infinities.
    """
    ys = _matrices(responses, "response")
    xs = _matrices(predictors, "predictor")
    shapes = {m.shape for m in (*ys.values(), *xs.values())}
    if len(shapes) != 1:
        raise MechsteerError(f"expected matrices over the same languages, got {sorted(shapes)}")
    (size, _), *_ = shapes
    if languages is not None and len(languages) != size:
        raise MechsteerError(f"expected {size} names of languages, got {len(languages)}")
    return ys, xs


def _sample(
    known: Bool[np.ndarray, "language language"],
    symmetric: bool,
    ys: Mapping[str, Matrix],
    xs: Mapping[str, Matrix],
) -> Sample:
    source, target = np.nonzero(known)
    kept, where = np.unique(np.concatenate([source, target]), return_inverse=True)
    return Sample(
        n_languages=len(kept),
        kept=kept,
        symmetric=symmetric,
        source=where[: len(source)],
        target=where[len(source) :],
        predictors=tuple(xs),
        x=np.stack([m[known] for m in xs.values()], axis=1),
        responses=tuple(ys),
        y=np.stack([m[known] for m in ys.values()], axis=1),
    )


def _matrices(given: Mapping[str, np.ndarray], role: str) -> dict[str, Matrix]:
    if not given:
        raise MechsteerError(f"expected one {role} or more, got none")
    found = {}
    for name, values in given.items():
        try:
            matrix = np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise MechsteerError(f"expected {role} {shown(name)} to hold numbers") from None
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise MechsteerError(
                f"expected {role} {shown(name)} as a matrix [language, language], "
                f"got shape {matrix.shape}"
            )
        np.fill_diagonal(matrix, np.nan)
        if np.isinf(matrix).any():
            raise MechsteerError(f"{role} {shown(name)} holds infinity; write unknown pairs as NaN")
        two_sided = (np.isfinite(matrix) & np.isfinite(matrix.T)).any()
        found[name] = matrix if two_sided else _mirrored(matrix)
    return found


def _is_symmetric(matrix: Matrix) -> bool:
    both = np.isfinite(matrix) & np.isfinite(matrix.T)
    scale = np.abs(matrix[both]).max(initial=0.0)
    return bool((np.abs(matrix - matrix.T)[both] <= 1e-9 * scale).all())


def _mirrored(matrix: Matrix) -> Matrix:
    return np.where(np.isfinite(matrix), matrix, matrix.T)


def _check(sample: Sample) -> None:
    """Refuse what no regression can be fitted to."""
    n, p = sample.n_languages, len(sample.predictors)
    if n < LEAST or n < p + 3:
        raise MechsteerError(
            f"expected {max(LEAST, p + 3)} languages or more with known pairs for {p} "
            f"predictor{'s' * (p > 1)}, got {n}"
        )
    if sample.n_pairs < 2 * (p + 2):
        raise MechsteerError(
            f"expected {2 * (p + 2)} known pairs or more for {p} predictor{'s' * (p > 1)}, "
            f"got {sample.n_pairs}"
        )
    for names, columns in ((sample.predictors, sample.x), (sample.responses, sample.y)):
        for name, column in zip(names, columns.T, strict=True):
            if np.ptp(column) <= _FLAT * np.abs(column).max():
                raise MechsteerError(
                    f"{shown(name)} is the same for all {sample.n_pairs} known pairs; leave it out"
                )
    _check_independent(sample)


def _check_independent(sample: Sample) -> None:
    centred = sample.x - sample.x.mean(0)
    r = np.linalg.qr(centred / np.linalg.norm(centred, axis=0), mode="r")
    for place, left in enumerate(np.abs(np.diag(r)) ** 2):
        if left < _COLLINEAR:
            raise MechsteerError(
                f"predictor {shown(sample.predictors[place])} follows from the others over the "
                "known pairs; leave one out"
            )
