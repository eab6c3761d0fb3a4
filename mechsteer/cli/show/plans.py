"""A plan as a person reads it: sentences, and a row a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechsteer.cli.show.terminal import print_table
from mechsteer.display import count

if TYPE_CHECKING:
    from mechsteer.planning.record import Plan

_LARGE = (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12), ("GFLOP", 1e9))


def print_plan(plan: Plan) -> None:
    """Print what a run will take, and where its numbers come from."""
    import pandas as pd
    from rich.console import Console

    from mechsteer.planning.amounts import in_bytes
    from mechsteer.planning.stages import MEASURED

    say = Console(markup=False, highlight=False).print
    rows = [
        {
            "stage": stage.name,
            "time": in_time(stage.seconds),
            "processor": in_time(stage.processor_seconds),
            "operations": in_flops(stage.flops),
            "memory": in_bytes(stage.memory),
            "disk": in_bytes(stage.disk) if stage.disk else "",
            "": "simulated" if stage.basis.startswith("simulated") else "",
        }
        for stage in plan.stages
    ]
    title = (
        f"{plan.model} on {plan.ranks} x {plan.device}"
        if plan.ranks > 1
        else (f"{plan.model} on {plan.device}")
    )
    print_table(pd.DataFrame(rows), title)
    about = "" if plan.tokens_counted else " (told from bytes: no tokenizer is at hand)"
    say(
        f"{plan.sentences:,} sentences in {count(plan.languages, plan.kind)}, "
        f"{plan.tokens:,} tokens{about}, {plan.padded:,} with padding "
        f"in batches of {plan.batch_tokens:,} or fewer"
    )
    say(
        f"{plan.parameters:,} parameters, {plan.neurons:,} neurons, {plan.states} states, "
        f"{in_bytes(plan.disk)} on disk, {in_bytes(plan.memory)} of memory a rank at most"
    )
    bases = dict.fromkeys(stage.basis for stage in plan.stages)
    say("; ".join(basis for basis in bases if basis != MEASURED or len(bases) == 1))
    if any(basis.startswith("simulated") for basis in bases):
        say("scoring and measuring are the processor's work: told from this one, measured")
    say("loading the model, tables and figures come on top; memory is that of one rank")


def in_time(seconds: float) -> str:
    """Seconds in the two units that fit.

    >>> [in_time(s) for s in (0.0123, 4.2, 75, 7322, 400_000)]
    ['0.012 s', '4.2 s', '1 min 15 s', '2 h 2 min', '4 d 15 h']
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    for (large, size), (small, part) in (
        (("d", 86400), ("h", 3600)),
        (("h", 3600), ("min", 60)),
        (("min", 60), ("s", 1)),
    ):
        if whole >= size:
            return f"{whole // size} {large} {whole % size // part} {small}"
    return f"{whole} s"


def in_flops(number: float) -> str:
    """Operations in the unit that fits; nothing for none.

    >>> in_flops(9.13e13), in_flops(0)
    ('91.3 TFLOP', '')
    """
    for unit, size in _LARGE:
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e6:.3g} MFLOP" if number else ""
