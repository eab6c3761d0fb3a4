"""Exact AP and AUROC of one class over negatives that arrive in batches and are not kept.

A neuron's state is its positives in order, how many negatives fell between each two of them, and
how many pairs of a positive and a negative tied. Negatives may come in any order and on any number
of machines: counts add.

Floor of an update: one read of the batch, one of the positives, and a count written for each
activation; log2(P) comparisons each. An update reads all positives however small the batch is, so
batches of at least as many sentences as positives come close to the cost of their own activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ..common.backends import Backend, ChosenBackend, choose_backend, usable
from ..common.checks import check_activations, raise_not_finite, refuse_not_finite
from ..labelings.operation import LabelingScores
from .negative_counts import NegativeCounts, descending, scores_of_counts
from .negative_state import checked_state

__all__ = ["StreamingScores"]

_MAX_NEGATIVES = 2**31 - 1  # counts have 32 bits


class StreamingScores:
    r"""AP and AUROC of one class at every neuron, from its positives and a stream of negatives.

    With the positives :math:`s_0 \ge s_1 \ge \dots`, ``TP(i)`` the end of the run of ties around
    :math:`s_i` and :math:`FP(i) = \sum_{j \le i} counts_j`,

    .. math:: AP = \frac{1}{P} \sum_i \frac{TP(i)}{TP(i) + FP(i)}, \quad
              AUROC = \frac{\sum_j j \cdot counts_j + ties / 2}{P \cdot negatives}.

    Exact, with every tie counted as ``score`` counts it: however the negatives are split, ordered
    or merged, the counts and therefore all bits of the result are the same. AUROC has the bits of
    ``score_labelings`` up to 4e15 pairs of a positive and a negative; AP is summed in float64 in
    another order and rounded once, so it may differ by one unit in the last place of float32.

    Memory is ``memory(...)`` bytes whatever the number of negatives: less than keeping all ``N``
    sentences, positives included, as soon as ``N > 3P + 6`` for activations of 16 bits and
    ``N > 2P + 3`` for float32. Build it with ``from_positives`` or ``from_state``.

    >>> stream = StreamingScores.from_positives(torch.tensor([[0.9], [0.8]]))
    >>> stream.update(torch.tensor([[0.1], [0.8]]))
    >>> stream.update(torch.tensor([[0.85]]))
    >>> stream.result().auroc.tolist(), stream.n_negatives, stream.nbytes
    ([[0.75]], 3, 28)
    """

    def __init__(
        self, counted: NegativeCounts, n_negatives: int, *, backend: Backend = "auto"
    ) -> None:
        self._backend = choose_backend(backend, counted.positives)
        home = counted.positives.device if self._backend == "triton" else torch.device("cpu")
        self._counted = NegativeCounts(*(part.to(home) for part in counted))
        self._n_negatives = n_negatives

    @classmethod
    def from_positives(
        cls, positives: Float[Tensor, "positive neuron"], *, backend: Backend = "auto"
    ) -> StreamingScores:
        """Start without negatives.

        Args:
            positives: Activations of the class, bfloat16, float16 or float32, any strides.
            backend: ``"triton"`` counts where the positives are; ``"cpu"`` (numba where it is
                installed) and ``"reference"`` keep their state on the CPU and copy batches to it;
                ``"auto"`` is Triton for CUDA tensors.

        Raises:
            ValueError: No positives, an unsuitable type or shape, NaN or infinity (the column is
                named).
        """
        check_activations(positives)
        if not len(positives):
            raise ValueError("expected at least one positive sentence, got none")
        refuse_not_finite(positives)
        n_positives, n_neurons = positives.shape
        on_device = choose_backend(backend, positives) == "triton"
        rows = positives.detach().T if on_device else positives.detach().cpu().T
        counts = torch.zeros(n_neurons, n_positives + 1, dtype=torch.int32, device=rows.device)
        ties = torch.zeros(n_neurons, dtype=torch.int64, device=rows.device)
        return cls(NegativeCounts(descending(rows), counts, ties), 0, backend=backend)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], *, backend: Backend = "auto"
    ) -> StreamingScores:
        """Go on from what ``state`` returned, here or on another machine.

        Raises:
            ValueError: Tensors that are missing, do not fit each other, or do not add up.
        """
        counted, total = checked_state(state)
        _check_room(total)
        copied = NegativeCounts(*(part.detach().clone().contiguous() for part in counted))
        return cls(copied, total, backend=backend)

    @staticmethod
    def memory(n_positives: int, n_neurons: int, dtype: torch.dtype) -> int:
        """Bytes of the state: ``P`` activations, ``P + 1`` counts and one of ties a neuron.

        >>> StreamingScores.memory(1000, 1, torch.bfloat16)
        6012
        """
        return n_neurons * (n_positives * (dtype.itemsize + 4) + 12)

    @property
    def n_negatives(self) -> int:
        """Negatives counted so far, in all merged parts."""
        return self._n_negatives

    @property
    def n_positives(self) -> int:
        """Sentences of the class."""
        return self._counted.positives.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the state, the number that ``memory`` foretells."""
        return sum(part.nbytes for part in self._counted)

    def update(self, negatives: Float[Tensor, "sentence neuron"]) -> None:
        """Count a batch of negatives, of any size and strides, in the dtype of the positives.

        A batch with NaN or infinity is taken back before the error: integer counts subtract
        exactly, so the state is what it was and the batch was read only once.

        Raises:
            ValueError: NaN or infinity (the column is named), another dtype or number of neurons,
                more than 2,147,483,647 negatives in all.
        """
        positives = self._counted.positives
        check_activations(negatives, n_neurons=len(positives), dtypes=(positives.dtype,))
        _check_room(self._n_negatives + len(negatives))
        rows = negatives.detach().to(positives.device).T
        if rows.numel():
            count = _backend(self._backend)
            bad = count(*self._counted, rows, 1)
            if bad >= 0:
                count(*self._counted, rows, -1)
                raise_not_finite(rows[bad], bad)
        self._n_negatives += len(negatives)

    def merge(self, other: StreamingScores) -> None:
        """Add the negatives that ``other`` has counted, on any device, to this state.

        Raises:
            ValueError: The positives differ (what differs is named), or the sum is too large.
        """
        mine, theirs = self._counted.positives, other._counted.positives.to(self._counted.positives)
        if other._counted.positives.dtype != mine.dtype or theirs.shape != mine.shape:
            raise ValueError(
                "expected equal positives to merge, got [neuron, positive] "
                f"{tuple(mine.shape)} of {mine.dtype} and {tuple(theirs.shape)} of "
                f"{other._counted.positives.dtype}"
            )
        equal = (mine == theirs).all(1)
        if not equal.all():
            raise ValueError(
                f"expected equal positives to merge, got others at neuron "
                f"{int(equal.int().argmin())} ({int((~equal).sum())} neurons differ): counts of "
                "one set of positives mean nothing beside another"
            )
        _check_room(self._n_negatives + other._n_negatives)
        self._counted.counts.add_(other._counted.counts.to(mine.device))
        self._counted.ties.add_(other._counted.ties.to(mine.device))
        self._n_negatives += other._n_negatives

    def state(self) -> dict[str, Tensor]:
        """The state as plain tensors, not copied: save them and go on with ``from_state``."""
        return self._counted._asdict() | {"n_negatives": torch.tensor(self._n_negatives)}

    def result(self) -> LabelingScores:
        """AP and AUROC ``[1, neuron]`` of all negatives so far, on the device of the state.

        Raises:
            ValueError: No negatives yet.
        """
        if not self._n_negatives:
            raise ValueError("expected at least one negative before a result: call update first")
        scores = _scores(self._backend)(self._counted, self._n_negatives)
        ap, auroc = scores[:, None]
        return LabelingScores(ap, auroc)


def _backend(chosen: ChosenBackend) -> Callable[[Tensor, Tensor, Tensor, Tensor, int], int]:
    """What adds a batch to the counts, see the ``negative_counts_*`` files."""
    if chosen == "triton":
        from .negative_counts_triton import count as count_triton

        return count_triton
    if chosen == "reference":
        from .negative_counts_reference import count as count_reference

        return count_reference
    if usable("numba"):
        from .negative_counts_cpu import count as count_cpu

        return count_cpu
    from .negative_counts_torch import count

    return count


def _scores(chosen: ChosenBackend) -> Callable[[NegativeCounts, int], Tensor]:
    """What turns counts into AP and AUROC ``[2, neuron]``."""
    if chosen == "cpu" and usable("numba"):
        from .count_scores_cpu import scores

        return scores
    return scores_of_counts


def _check_room(n_negatives: int) -> None:
    if n_negatives > _MAX_NEGATIVES:
        raise ValueError(
            f"expected at most {_MAX_NEGATIVES} negatives, got {n_negatives}: counts have 32 bits"
        )
