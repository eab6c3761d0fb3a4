"""The stages of a run, each with its seconds, operations and bytes; and what falls short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from mechsteer.planning.footprint import Footprint
from mechsteer.planning.rates import Rates, Spent
from mechsteer.planning.record import Stage
from mechsteer.planning.states import States
from mechsteer.planning.workload import Workload

WHOLE = "whole run"
MEASURED = "measured here"


@dataclass(frozen=True)
class Means:
    """What stages are told from.

    Attributes:
        footprint: bytes.
        rates: seconds.
        dev: text that is recorded and scored.
        test: text that states are measured on.
        states: how many there are.
        ranks: processes.
    """

    footprint: Footprint
    rates: Rates
    dev: Workload
    test: Workload
    states: States
    ranks: int


def stages_of(means: Means, *, parallel: bool) -> tuple[Stage, ...]:
    """All stages in their order, and the whole; without states where text is not parallel."""
    stages = [*_once(means), *(_a_state(means) if parallel else ())]
    return (*stages, _whole(means, stages, parallel=parallel))


def _once(means: Means) -> Iterator[Stage]:
    """Recording and scoring."""
    footprint, rates, dev = means.footprint, means.rates, means.dev
    sizes, ranks = footprint.sizes, means.ranks
    flops = sizes.flops(dev.n_padded, dev.squares)
    spent = rates.record(dev, ranks)
    yield _stage(
        "record",
        spent,
        rates.basis,
        flops=flops,
        memory=footprint.record(),
        disk=footprint.recording,
    )
    spent = rates.score(
        dev,
        sizes,
        beside=len(footprint.itemsizes) - 1,
        n_bytes=footprint.activations,
        ranks=ranks,
    )
    yield _stage("score", spent, MEASURED, flops=0, memory=footprint.score(), disk=footprint.scores)


def _a_state(means: Means) -> Iterator[Stage]:
    """One state on the test text: by one process, whatever the number of them."""
    footprint, rates, test = means.footprint, means.rates, means.test
    flops = footprint.sizes.flops(test.n_padded, test.squares)
    memory, spent = footprint.embed(test), rates.embed(test)
    yield _stage("embed a state", spent, rates.basis, flops=flops, memory=memory, disk=0)
    spent = _measured(means, test, 1.0)
    memory, kept = footprint.measure(test), footprint.state(test)
    yield _stage("measure a state", spent, MEASURED, flops=0, memory=memory, disk=kept)


def _measured(means: Means, work: Workload, share: float) -> Spent:
    """Measuring a state on a share of a text's sentences: products of two of them count twice."""
    rates, rows = means.rates, means.footprint.sizes.rows
    same = max(work.counts.values()) * share / max(means.test.counts.values())
    kept = means.footprint.state(work) * share
    pairs = rates.measure(len(work.counts), rows, 0)
    return pairs * same**2 + rates.keeping * kept


def _whole(means: Means, stages: list[Stage], *, parallel: bool) -> Stage:
    """Recording, scoring, and every state, which processes take in turns."""
    spent = sum((Spent(s.seconds, s.processor_seconds) for s in stages[:2]), Spent())
    flops, disk = stages[0].flops, stages[0].disk + stages[1].disk
    if parallel:
        states, ranks, share = means.states, means.ranks, means.states.share
        dev = means.rates.embed(means.dev) * share + _measured(means, means.dev, share)
        embed, measure = (Spent(s.seconds, s.processor_seconds) for s in stages[2:4])
        spent += dev * ceil(states.tuned / ranks) + (embed + measure) * ceil(states.tried / ranks)
        spent += measure * ceil(states.applied / ranks)
        flops += int(stages[0].flops * share * states.tuned) + stages[2].flops * states.tried
        disk += stages[3].disk * (states.tried + states.applied)
        disk += int(means.footprint.state(means.dev) * share) * states.tuned
    memory = max(stage.memory for stage in stages)
    return _stage(WHOLE, spent, means.rates.basis, flops=flops, memory=memory, disk=disk)


def _stage(name: str, spent: Spent, basis: str, **amounts: int) -> Stage:
    return Stage(name, spent.wall, spent.processor, basis=basis, **amounts)
