"""Where CPU kernels write scores, and the moments of the rest from the moments of the classes."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray


class ScoreTable(NamedTuple):
    """One ``[class, neuron]`` array for each score; those of moments are empty if unwanted."""

    ap: NDArray[Any]
    auroc: NDArray[Any]
    mean: NDArray[Any]
    median: NDArray[Any]
    std: NDArray[Any]
    rest_mean: NDArray[Any]
    rest_std: NDArray[Any]


def rest_moments(sizes: Any, means: Any, squares: Any, rest_means: Any, rest_squares: Any) -> None:
    """Pool, for each class along the first axis, the moments of all other classes.

    Arrays or tensors alike; ``squares`` are sums of squared deviations. What precedes a class is
    pooled with what follows, so nothing is ever subtracted from a total: a quiet rest beside a loud
    class keeps its digits.

    Source: Chan, Golub and LeVeque (1983), the pairwise update.
    """

    def pooled(a: Any, b: Any) -> Any:
        size, gap = a[0] + b[0], b[1] - a[1]
        mean = a[1] + gap * (b[0] / size)
        return size, mean, a[2] + b[2] + gap * gap * (a[0] * b[0] / size)

    last = len(sizes) - 1
    before = (sizes[0], means[0], squares[0])
    for c in range(1, last + 1):
        rest_means[c], rest_squares[c] = before[1], before[2]
        before = pooled(before, (sizes[c], means[c], squares[c]))
    after = (sizes[last], means[last], squares[last])
    left = before[0] - sizes[last]
    for c in range(last - 1, 0, -1):
        left = left - sizes[c]
        rest = pooled((left, rest_means[c], rest_squares[c]), after)
        rest_means[c], rest_squares[c] = rest[1], rest[2]
        after = pooled(after, (sizes[c], means[c], squares[c]))
    rest_means[0], rest_squares[0] = after[1], after[2]
