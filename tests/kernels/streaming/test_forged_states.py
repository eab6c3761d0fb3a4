"""A forged state is refused, or gives scores between 0 and 1: never NaN, never anything else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mechsteer.kernels import BinnedScores, KeyCounts, StreamingScores, linear_edges
from tests.shape_checks import unchecked

State = dict[str, Tensor]


def activations(n: int, seed: int) -> Tensor:
    """Few distinct values, so that many tie."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, (n, 4), generator=generator).bfloat16()


LABELS = torch.arange(40) % 3


def streaming() -> StreamingScores:
    scores = StreamingScores.from_positives(activations(6, 0), backend="reference")
    scores.update(activations(40, 1))
    return scores


def keys() -> KeyCounts:
    counts = KeyCounts(4, 3, torch.bfloat16)
    counts.update(activations(40, 1), LABELS)
    return counts


def binned() -> BinnedScores:
    scores = BinnedScores(linear_edges(-3.0, 3.0, 8), n_neurons=4, n_classes=3)
    scores.update(activations(40, 1), LABELS)
    return scores


MADE: dict[str, Callable[[], Any]] = {"streaming": streaming, "keys": keys, "binned": binned}


def copied(made: Any) -> State:
    return {name: tensor.clone() for name, tensor in made.state().items()}


def spoilt(chance: random.Random, state: State) -> State:
    name = chance.choice(list(state))
    tensor = state[name]
    if chance.random() < 0.6 and tensor.numel():
        flat = tensor.flatten().clone()
        values = [-1, 0, 1, 2, 10**4, 10**12, 2**62, float("nan"), float("inf"), -1e30]
        value = chance.choice(values if flat.is_floating_point() else values[:7])
        info = None if flat.is_floating_point() else torch.iinfo(flat.dtype)
        value = value if info is None else max(info.min, min(info.max, value))
        flat[chance.randrange(len(flat))] = value
        return state | {name: flat.view(tensor.shape)}
    changes: list[Callable[[Tensor], Any]] = [
        Tensor.float, Tensor.double, Tensor.long, Tensor.bool, Tensor.neg, lambda t: t[None],
        lambda t: t.flatten()[:1], lambda t: t.flip(0) if t.ndim else t, lambda t: t * 2,
        lambda t: t.flatten()[:0], lambda t: t.tolist(), lambda t: None,
    ]  # fmt: skip
    return state | {name: chance.choice(changes)(tensor)}


def tables(found: Any) -> list[Tensor]:
    """AP and AUROC, or what bounds both."""
    parts = (found.ap, found.auroc)
    if isinstance(found.ap, Tensor):
        return list(parts)
    return [table for part in parts for table in (part.low, part.high)]


@pytest.mark.parametrize("kind", MADE)
def test_forged_states_are_refused_or_give_scores(kind: str) -> None:
    chance, fates = random.Random(kind), Counter[str]()
    made = MADE[kind]()
    for _ in range(250):
        try:
            with unchecked():
                found = type(made).from_state(spoilt(chance, copied(made))).result()
        except ValueError:
            fates["refused"] += 1
            continue
        fates["read"] += 1
        for table in tables(found):
            assert ((table >= -1e-9) & (table <= 1 + 1e-9)).all()
    assert fates["refused"] > 100


def test_ties_that_no_negatives_give_are_refused() -> None:
    state = copied(streaming())
    for ties in (10**12, int(state["ties"][0]) + 40 * 6):
        wrong = state["ties"].clone()
        wrong[0] = ties
        with pytest.raises(ValueError, match="ties of those alone"):
            StreamingScores.from_state(state | {"ties": wrong})


def test_negatives_between_equal_positives_are_refused() -> None:
    state = copied(StreamingScores.from_positives(torch.tensor([[2.0], [2.0], [1.0]])))
    state["n_negatives"] += 1
    for gap, allowed in enumerate((True, False, True, True)):
        counts = torch.zeros(1, 4, dtype=torch.int32)
        counts[0, gap] = 1
        if allowed:
            StreamingScores.from_state(state | {"counts": counts}).result()
        else:
            with pytest.raises(ValueError, match="runs of equal positives"):
                StreamingScores.from_state(state | {"counts": counts})


@pytest.mark.parametrize("kind", MADE)
def test_what_is_no_state_is_refused(kind: str) -> None:
    made = MADE[kind]()
    for state in (None, [], {}, {"counts": 1}, dict.fromkeys(made.state())):
        with pytest.raises(ValueError, match="expected"):
            type(made).from_state(state)
