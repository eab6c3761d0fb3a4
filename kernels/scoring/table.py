"""Where kernels write scores, and the moments of the rest from the moments of the classes."""

from __future__ import annotations

from typing import Any, NamedTuple, no_type_check


class ScoreTable(NamedTuple):
    """One ``[class, neuron]`` float32 tensor or array for each score.

    Those of moments have no elements where moments are not wanted.
    """

    ap: Any
    auroc: Any
    mean: Any
    median: Any
    std: Any
    rest_mean: Any
    rest_std: Any

    def numpy(self) -> ScoreTable:
        """Tables of tensors on the CPU as arrays over the same memory."""
        return ScoreTable(*(scores.numpy() for scores in self))

    def neurons(self, some: slice) -> ScoreTable:
        """The columns of some neurons."""
        return ScoreTable(*(scores[:, some] for scores in self))


@no_type_check  # numba compiles it: a runtime type checker must leave it as it is
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
