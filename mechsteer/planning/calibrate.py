"""What a unit of each stage costs here: a few batches are run, and a few of everything else.

Each number is the median of some turns, in which all that is timed takes its part, so that what
else the machine does meets all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from mechsteer.experts.compiling import compiling
from mechsteer.kernels import score as score_columns
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite
from mechsteer.planning.rates import Curve, Rates, Spent
from mechsteer.recording.batches import BatchPlan
from mechsteer.recording.passes import run_batch
from mechsteer.recording.points import PointPoolings
from mechsteer.recording.shards import Shards
from mechsteer.recording.store import Columns
from mechsteer.studies.measurements import Measurements, measure

SECONDS = 8.0
"""After which no further turn over the batches begins."""
_TURNS = 5
_POINTS = 8  # that are read back
_BATCHES = 4  # of equal shares of all tokens, the middle one of each
_ACTIVATIONS = 1 << 22  # that are scored
_SENTENCES = 1024  # a language, that are measured
_BYTES = 1 << 24  # that are kept


@dataclass(frozen=True)
class Subject:
    """What is timed: a model, a corpus that was divided, and what a recording reads of it."""

    model: Model
    plan: BatchPlan
    read: PointPoolings
    residual: tuple[HookSite, ...]
    labels: Tensor


def calibrate(subject: Subject, tokenising: Spent, sentences: int) -> Rates:
    """Time a few of everything.

    Args:
        subject: the model and what it reads.
        tokenising: what a sentence cost, as the corpus was divided.
        sentences: of a language, in the text that states are measured on.
    """
    with TemporaryDirectory(prefix="mechsteer-plan-") as folder:
        recording, embedding, reading, rows = _passes(subject, Path(folder))
        filing, keeping = _keeping(Path(folder) / "kept.safetensors")
    pair, language = measuring(rows, sentences)
    call, neuron = scoring(subject.labels, subject.model.dtype)
    threads = torch.get_num_threads()
    where = f"{threads} thread{'s' * (threads > 1)}"
    device = subject.model.input_device
    return Rates(
        recording=recording,
        embedding=embedding,
        tokenising=tokenising,
        calling=call,
        scoring=neuron,
        reading=reading,
        pair=pair,
        language=language,
        filing=filing,
        keeping=keeping,
        basis=f"measured here ({where if device.type == 'cpu' else device})",
    )


def _passes(subject: Subject, folder: Path) -> tuple[Curve, Curve, Spent, Tensor]:
    """Recording and embedding a token, reading a byte back, and embeddings of some sentences."""
    model, plan = subject.model, subject.plan
    numbers = middle_batches(plan)
    store = _store(folder / "0", subject, numbers)
    embeds: PointPoolings = dict.fromkeys(subject.residual, ("mean",))
    seen: list[Tensor] = []

    def record(place: int) -> None:
        batch = plan.batch(numbers[place])
        start = sum(len(plan.batches[number]) for number in numbers[:place])
        rows = torch.arange(start, start + len(batch.rows))
        store.add(place, rows, run_batch(model, subject.read, batch.to(model.input_device)))

    def embed(place: int) -> None:
        batch = plan.batch(numbers[place]).to(model.input_device)
        values = run_batch(model, embeds, batch)
        seen.append(torch.stack([own.float().cpu() for own in values.values()]))

    run_batch(model, embeds, plan.batch(len(plan.batches) - 1).to(model.input_device))  # warm
    places = range(len(numbers))
    parts: list[Callable[[], None]] = [
        *(lambda place=place: record(place) for place in places),
        *(lambda place=place: embed(place) for place in places),
    ]
    spent = in_turns(parts, SECONDS)
    tokens = [len(plan.batches[n]) * plan.lengths[plan.batches[n][0]] for n in numbers]
    widths = [plan.lengths[plan.batches[n][0]] for n in numbers]
    each = [part * (1 / own) for part, own in zip(spent, tokens * 2, strict=True)]
    return (
        _curve(widths, each[: len(numbers)]),
        _curve(widths, each[len(numbers) :]),
        _reading(folder / "0", subject, numbers),
        torch.cat(seen[: len(numbers)], dim=1),
    )


def middle_batches(plan: BatchPlan) -> list[int]:
    """Numbers of the batches in the middle of equal shares of all tokens, padding included."""
    tokens = torch.tensor([len(rows) * plan.lengths[rows[0]] for rows in plan.batches])
    ends = tokens.cumsum(0)
    wanted = (2 * torch.arange(_BATCHES) + 1) * int(ends[-1]) / (2 * _BATCHES)
    found = torch.searchsorted(ends, wanted.long(), right=True).clamp(max=len(ends) - 1)
    return list(dict.fromkeys(found.tolist()))


def _curve(widths: Sequence[int], tokens: Sequence[Spent]) -> Curve:
    """One point a width: batches of one width are taken together."""
    found: dict[int, list[Spent]] = {}
    for width, spent in zip(widths, tokens, strict=True):
        found.setdefault(width, []).append(spent)
    means = {width: sum(own, Spent()) * (1 / len(own)) for width, own in sorted(found.items())}
    return Curve(tuple(means), tuple(means.values()))


def _reading(folder: Path, subject: Subject, numbers: Sequence[int]) -> Spent:
    """A byte of recorded neurons, read for the first time: a few hook points are enough."""
    wanted = [
        Columns(point, how, 0, point.width)
        for point, own in subject.read.items()
        for how in own
        if point not in subject.residual
    ][:_POINTS]
    store = partial(_store, folder, subject, numbers)
    n_bytes = sum(own.nbytes for own in store().columns(wanted))
    (spent,) = in_turns([lambda: store().columns(wanted)], 1.0)
    return spent * (1 / max(1, n_bytes))


def _store(folder: Path, subject: Subject, numbers: Sequence[int]) -> Shards:
    """A recording of some batches alone."""
    sentences = sum(len(subject.plan.batches[number]) for number in numbers)
    return Shards(folder, len(numbers), sentences, inputs={}, residual=subject.residual)


def scoring(labels: Tensor, dtype: torch.dtype) -> tuple[Spent, Spent]:
    """A call, and a neuron and sentence of the corpus: all statistics, for every language."""
    n = len(labels)
    neurons = max(1, _ACTIVATIONS // n)
    x = torch.randn(neurons, n, generator=torch.Generator().manual_seed(0)).to(dtype).T
    with compiling():
        score_columns(x[:, :1], labels)  # compiled before it is timed
        one, all_ = in_turns(
            [lambda: score_columns(x[:, :1], labels), lambda: score_columns(x, labels)], 2.0
        )
    each = one.until(all_) if neurons > 1 else one
    return one, each * (1 / (n * max(1, neurons - 1)))


def measuring(rows: Tensor, sentences: int) -> tuple[Spent, Spent]:
    """A pair of languages, and a language, at one layer.

    Sentences are drawn with the means and deviations of real embeddings ``[row, sentence, d]``,
    which decide how often rounding makes cosines be taken again.
    """
    n = max(2, min(sentences, _SENTENCES))
    some = rows[[0, len(rows) // 2, -1]]
    draws = torch.Generator().manual_seed(0)
    shape = len(some), n, some.shape[2]
    mean, std = some.mean(1, keepdim=True), some.std(1, keepdim=True).nan_to_num()
    spread = std.clamp(min=1e-3 * float(mean.abs().mean()) + 1e-6)
    meaning = torch.randn(shape, generator=draws)
    texts = {
        f"l{i}": mean + spread * (meaning + torch.randn(shape, generator=draws)) / 2**0.5
        for i in range(4)
    }
    first = dict(list(texts.items())[:2])
    two, four = in_turns([lambda: measure(first), lambda: measure(texts)], 3.0)
    pair = (two * 2).until(four) * (1 / 4)  # two languages are one pair, four are six
    language = pair.until(two) * (1 / 2)
    scale, each = sentences / n, 1 / len(some)
    return pair * (each * scale**2), language * (each * scale)


def _keeping(path: Path) -> tuple[Spent, Spent]:
    """A file of what was measured, and a byte of it: hashed and written."""
    few, many = (_kept(sentences) for sentences in (1, _BYTES // 12))
    one, all_ = in_turns([lambda: few.save(path, ""), lambda: many.save(path, "")], 1.0)
    return one, one.until(all_) * (1 / _BYTES)


def _kept(sentences: int) -> Measurements:
    top1, margin, mexa = (torch.zeros(1, 2, 2, sentences, dtype=torch.bool) for _ in range(3))
    one, some, more = torch.zeros(1), torch.zeros(1, 2), torch.zeros(1, 2, 2)
    return Measurements(top1, margin, mexa, one, some, more)


def in_turns(parts: Sequence[Callable[[], Any]], seconds: float) -> list[Spent]:
    """The median of each part over some turns: five, or as many as begin within some seconds."""
    start = time.perf_counter()
    turns: list[list[Spent]] = []
    while not turns or (len(turns) < _TURNS and time.perf_counter() - start < seconds):
        turns.append([_spent(part) for part in parts])
    return [
        Spent(median(one.wall for one in own), median(one.processor for one in own))
        for own in zip(*turns, strict=True)
    ]


def _spent(run: Callable[[], Any]) -> Spent:
    wall, processor = time.perf_counter(), time.process_time()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)
