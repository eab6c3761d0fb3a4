r"""Whether a neuron tells a class apart better than chance: permutation p-values, for all neurons.

The labels of the sentences are permuted, every neuron is scored for each relabeling over its one
sort (``score_labelings``), and the observed score is compared with those:

.. math:: p = \frac{1 + \#\{null \ge observed\}}{1 + draws}

It is exact, never 0, and at least 1 / (1 + draws): that is its resolution (Phipson and Smyth 2010).
All neurons see the same relabelings. q-values control the false discovery rate among the neurons of
one class (Benjamini and Hochberg 1995; independent or positively dependent tests).

**How labels may be permuted.** Freely, if under the null any sentence could have had any label. In
a parallel corpus the sentences of one id are translations, so labels are permuted within the id.

**When nulls are shared.** With free permutations the null distribution of a neuron depends on
nothing but its pattern of ties: the lengths of its runs of equal activations, from the highest
down. ``pooled`` therefore draws one null for each pattern and uses it for all neurons that have it:
each p-value stays exact, and where no activations tie, a million draws for one pattern serve every
neuron and resolve a millionth. The values are fresh draws, not those of the other neurons lumped
together, which correlate: a neuron's hundred duplicates would count as a hundred times the draws.
Within ids the null depends on which ids stand where in the neuron's order, which no two neurons
share in practice: there, pooling is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..common.backends import Backend, choose_backend
from ..common.grouping import group
from ..labelings.operation import LabelingScores, score_labelings
from .plan import LABEL_SETS, NEURONS, PermutationPlan, plan_permutations
from .relabelings import parallel_positions, relabelings
from .tie_patterns import tie_patterns

__all__ = ["PermutationTest", "permutation_test"]

Statistic = Literal["ap", "auroc"]
Alternative = Literal["greater", "two-sided"]

_LOG = logging.getLogger(__name__)
_ROUNDING = 2.0**-23
"""Null scores this close below the observed one count as equal: both are rounded to float32."""


@dataclass(frozen=True)
class PermutationTest:
    """p-values of every target class (rows) at every neuron (columns), on the CPU.

    ``observed`` is the statistic, ``q`` the smallest false discovery rate at which a neuron is
    significant among those of its row, ``significant`` whether that is within the rate asked for.
    ``resolution`` is the smallest p that can occur. Every p rests on ``draws`` null values.
    """

    observed: Float[Tensor, "target neuron"]
    p: Float[Tensor, "target neuron"]
    q: Float[Tensor, "target neuron"]
    significant: Bool[Tensor, "target neuron"]
    draws: int
    pooled: bool
    plan: PermutationPlan

    @property
    def resolution(self) -> float:
        """The smallest p that can occur."""
        return self.plan.resolution


def permutation_test(
    x: Float[Tensor, "sentence neuron"],
    labels: Int[Tensor, "sentence"],
    *,
    targets: Sequence[int] | None = None,
    sentence_ids: Int[Tensor, "sentence"] | None = None,
    draws: int = 1000,
    seed: int = 0,
    statistic: Statistic = "ap",
    alternative: Alternative = "greater",
    pooled: bool = False,
    fdr: float = 0.05,
    backend: Backend = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> PermutationTest:
    """Test every column of ``x`` for every target class against permuted labels.

    What it will cost and can find is logged before it starts, see ``plan_permutations``. Results do
    not depend on block sizes or threads, nor a target's on the other targets. A constant column has
    p = 1. No columns give empty tables.

    Args:
        x: Activations, bfloat16, float16 or float32.
        labels: Class of each sentence, 0, 1, ... without a gap.
        targets: Classes to test, all if not given.
        sentence_ids: Sentences with the same id are translations: labels are permuted among them.
            None permutes all labels freely, for corpora that are not parallel.
        draws: Relabelings.
        seed: Of the draws.
        statistic: ``"ap"`` or ``"auroc"``.
        alternative: ``"greater"``; ``"two-sided"`` takes ``|AUROC - 1/2|``, for AUROC only.
        pooled: Share nulls between neurons of equal tie pattern (module head); free permutations
            only.
        fdr: False discovery rate of ``significant``.
        backend: As in ``score_labelings``.
        progress: Called with the relabelings scored so far and those in all, times neurons.

    Raises:
        ValueError: NaN or infinity (the column is named), unsuitable types or shapes, a class
            without sentences, an id without exactly one sentence of every class, a target that is
            no class, fewer than one draw, a rate outside (0, 1), pooling within ids, a two-sided
            test of AP.

    >>> x = torch.arange(12.0)[:, None] * torch.tensor([1.0, 0.0])
    >>> found = permutation_test(x, torch.arange(12) // 6, targets=[1], draws=999)
    >>> found.p[0, 1].item(), found.p[0, 0].item() < 0.01
    (1.0, True)
    """
    _check(draws, statistic, alternative, fdr)
    grouping = group(labels, n_sentences=len(x))
    wanted = torch.tensor(range(grouping.n_classes) if targets is None else list(targets))
    _check_targets(wanted, grouping.n_classes)
    positions = None if sentence_ids is None else parallel_positions(sentence_ids, grouping)
    if pooled and positions is not None:
        raise ValueError(
            "pooled=True needs free permutations: within sentence ids a null distribution depends "
            "on which ids stand where in a neuron's order, so neurons cannot share it; use "
            "pooled=False, or leave sentence_ids out where sentences are no translations"
        )
    own = labels.detach().cpu().long()
    chosen = choose_backend(backend, x, has_numpy=True)

    def statistics(rows: Tensor, drawn: Tensor) -> Float[Tensor, "draw target neuron"]:
        member = rearrange(
            drawn[:, None] == wanted[:, None], "draw target sentence -> (draw target) sentence"
        )
        found = score_labelings(rows.T, member.to(rows.device), backend=chosen)
        values = _values(found, statistic, alternative).cpu()
        return rearrange(values, "(draw target) neuron -> draw target neuron", draw=len(drawn))

    rows = x.detach().T
    observed = statistics(rows, own[None])[0]
    nulls = tie_patterns(rows) if pooled else [[i] for i in range(x.shape[1])]
    plan = plan_permutations(
        *(len(x), x.shape[1]),
        n_targets=len(wanted),
        n_nulls=len(nulls),
        draws=draws,
        fdr=fdr,
        backend=chosen,
    )
    _LOG.info("%s", plan)
    drawn = relabelings(own, positions, draws=draws, seed=seed)
    reached = torch.zeros(observed.shape, dtype=torch.int64)
    done = 0
    for some in _batches(drawn, max(1, LABEL_SETS // len(wanted))):
        for first in range(0, len(nulls), NEURONS):
            sharing = nulls[first : first + NEURONS]
            null = statistics(rows[[neurons[0] for neurons in sharing]], some)
            _count(reached, null, observed - _ROUNDING, sharing)
            done += len(some) * len(sharing)
            if progress is not None:
                progress(done, draws * len(nulls))
    p = (1 + reached).double() / (1 + draws)
    q = _adjusted(p)
    return PermutationTest(observed, p, q, q <= fdr, draws, pooled, plan)


def _check(draws: int, statistic: str, alternative: str, fdr: float) -> None:
    if draws < 1:
        raise ValueError(f"expected at least one draw, got draws={draws}")
    if statistic not in ("ap", "auroc"):
        raise ValueError(f"statistic must be 'ap' or 'auroc', got {statistic!r}")
    if alternative not in ("greater", "two-sided"):
        raise ValueError(f"alternative must be 'greater' or 'two-sided', got {alternative!r}")
    if alternative == "two-sided" and statistic == "ap":
        raise ValueError(
            "a two-sided test needs statistic='auroc': average precision has no middle to depart "
            "from"
        )
    if not 0 < fdr < 1:
        raise ValueError(f"fdr must be between 0 and 1, got {fdr}")


def _check_targets(targets: Int[Tensor, "target"], n_classes: int) -> None:
    known = targets.numel() and int(targets.min()) >= 0 and int(targets.max()) < n_classes
    if not known or len(set(targets.tolist())) < len(targets):
        raise ValueError(
            f"expected distinct targets from 0 to {n_classes - 1}, at least one, got "
            f"{targets.tolist()}"
        )


def _values(found: LabelingScores, statistic: Statistic, alternative: Alternative) -> Tensor:
    values = found.ap if statistic == "ap" else found.auroc
    return (values - 0.5).abs() if alternative == "two-sided" else values


def _batches(drawn: Iterator[Tensor], size: int) -> Iterator[Int[Tensor, "draw sentence"]]:
    while some := list(islice(drawn, size)):
        yield torch.stack(some)


def _count(
    reached: Int[Tensor, "target neuron"],
    null: Float[Tensor, "draw target null"],
    floor: Float[Tensor, "target neuron"],
    sharing: list[list[int]],
) -> None:
    """Add how many null values reach the floor of each neuron; ``sharing`` are those of a null."""
    if all(len(neurons) == 1 for neurons in sharing):
        columns = [neurons[0] for neurons in sharing]
        reached[:, columns] += (null >= floor[:, columns]).sum(0)
        return
    ordered = rearrange(null, "draw target null -> null target draw").contiguous().sort().values
    for values, neurons in zip(ordered, sharing, strict=True):
        below = torch.searchsorted(values, floor[:, neurons].contiguous())
        reached[:, neurons] += len(null) - below


def _adjusted(p: Float[Tensor, "target neuron"]) -> Float[Tensor, "target neuron"]:
    """q-values of each row: the step-up procedure of Benjamini and Hochberg."""
    from scipy.stats import false_discovery_control

    if not p.numel():
        return p.clone()
    return torch.from_numpy(false_discovery_control(p.numpy(), axis=1, method="bh"))
