"""The stages of a run, each with its seconds, operations and bytes; and what falls short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from mechsteer.planning.devices import Device
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


def shortages(
    stages: tuple[Stage, ...],
    footprint: Footprint,
    gpu: Device | None,
    *,
    memory: int | None,
    disk: int | None,
    ranks: int,
) -> Iterator[str]:
    """What there is too little of, the worst first, with what to do.

    Args:
        stages: of the run.
        footprint: bytes.
        gpu: the device that the model runs on; None for a processor.
        memory: bytes that a process may take; None where that is not known.
        disk: bytes that may be written; None where that is not known.
        ranks: processes.
    """
    if gpu is not None and (needed := footprint.on_device) > gpu.memory:
        yield (
            f"{gpu.name} has {in_bytes(gpu.memory)} of memory, and the weights and one batch take "
            f"{in_bytes(needed)}: name a larger device, a smaller --batch-tokens, or share the "
            "model between devices"
        )
    worst = max(stages, key=lambda stage: stage.memory)
    if memory is not None and worst.memory > memory:
        each = " in every rank" if ranks > 1 else ""
        yield (
            f"{in_bytes(memory)} of memory are there, and {worst.name!r} takes "
            f"{in_bytes(worst.memory)}{each}: take fewer sentences (--limit) "
            "or languages, or more memory"
        )
    if disk is not None and stages[-1].disk > disk:
        yield (
            f"{in_bytes(disk)} of disk are there, and the run leaves {in_bytes(stages[-1].disk)}: "
            "take fewer sentences (--limit) or languages, or another disk (-o)"
        )


def in_bytes(number: float) -> str:
    """Bytes in the unit that fits.

    >>> in_bytes(8.1e9), in_bytes(2_500_000), in_bytes(12)
    ('8.1 GB', '2.5 MB', '12 bytes')
    """
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} bytes"
