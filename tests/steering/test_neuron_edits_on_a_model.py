"""Edits of the embedded model against plain PyTorch hooks that apply the published formula."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

import mechsteer as ms
from mechsteer.experts.score import score_recording
from mechsteer.interventions import NeuronEdit
from mechsteer.model.load import load_model
from mechsteer.recording import Recording, record

SOURCE, TARGET = "deu_Latn", "fra_Latn"
TEXTS = ["The king gave the shepherd a ring.", "Der Zug ist im Morgengrauen abgefahren."]


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def recording(model: Any) -> Recording:
    corpus = ms.ParallelCorpus.embedded("dev", languages=[SOURCE, TARGET, "jpn_Jpan"]).head(20)
    return record(model, corpus, pooling=("max", "mean"))


@pytest.fixture(scope="module")
def experts(recording: Recording) -> ms.Experts:
    return score_recording(recording, pooling="max").top(TARGET, 400)


@pytest.fixture(scope="module")
def inputs(model: Any) -> dict[str, Tensor]:
    found = model.plain_tokenizer(TEXTS, return_tensors="pt", padding=True)
    return {"input": found["input_ids"], "attention_mask": found["attention_mask"]}


@contextmanager
def mapped(model: Any, layer: int, neurons: list[int], how: Callable[[Tensor], Tensor]):
    """Map neurons of a layer through a hook on the wrapped down-projection, in float64."""

    def hook(module: Any, args: tuple[Tensor]) -> tuple[Tensor]:
        z = args[0].clone()
        z[..., neurons] = how(z[..., neurons].double()).float()
        return (z,)

    handle = model.blocks[layer].mlp.out.original_component.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class Seen:
    """What plain numpy sees of the experts of a layer: pooled activations by language."""

    def __init__(self, recording: Recording, experts: ms.Experts) -> None:
        places = [recording.site.locate(flat) for flat in experts.index.tolist()]
        self.layer, self.neurons = places[0][1], [neuron for _, _, neuron in places]
        self._inside = (recording.labels == recording.languages.index(TARGET)).numpy()
        rows = {c: (recording.labels == i).numpy() for i, c in enumerate(recording.languages)}
        pooled = [
            recording.activations(self.layer, pooling=how)[:, self.neurons].double().numpy()
            for how in ("max", "mean")
        ]
        self.max, self.mean = ({c: z[r] for c, r in rows.items()} for z in pooled)
        self._whole = pooled[0]

    @cached_property
    def auroc(self) -> np.ndarray:
        return np.array([roc_auc_score(self._inside, column) for column in self._whole.T])


@pytest.fixture(scope="module")
def seen(recording: Recording, experts: ms.Experts) -> list[Seen]:
    parts = [experts.in_layer(layer) for layer in range(len(recording.site.points))]
    found = [Seen(recording, part) for part in parts if len(part)]
    assert len(found) > 2
    return found


def linear(z: Tensor, x: np.ndarray, y: np.ndarray) -> Tensor:
    a, b = np.sort(x, axis=0), np.sort(y, axis=0)
    w = ((a - a.mean(0)) * (b - b.mean(0))).sum(0) / ((a - a.mean(0)) ** 2).sum(0)
    mapped = z * torch.tensor(w) + torch.tensor(b.mean(0) - w * a.mean(0))
    inside = (z >= torch.tensor(a[0])) & (z <= torch.tensor(a[-1]))
    return torch.where(inside, mapped, z)


def gaussian(z: Tensor, x: np.ndarray, y: np.ndarray) -> Tensor:
    s1, s2 = x.std(0, ddof=1), y.std(0, ddof=1)
    moved = torch.tensor(s2 / s1) * (z - torch.tensor(x.mean(0))) + torch.tensor(y.mean(0))
    return torch.where(torch.tensor((s1 > 1e-4) & (s2 > 1e-4)), moved, z)


Formula = Callable[[Tensor, Seen], Tensor]
Make = Callable[[ms.Experts, Recording], NeuronEdit]
CONSTRUCTORS: dict[str, tuple[Make, Formula]] = {
    "median": (
        lambda e, r: ms.clamp(e, pooling="max"),
        lambda z, s: torch.tensor(np.median(s.max[TARGET], axis=0)).expand_as(z),
    ),
    "p90": (
        lambda e, r: ms.clamp(e, r, value="p90", pooling="max"),
        lambda z, s: torch.tensor(np.percentile(s.max[TARGET], 90, axis=0)).expand_as(z),
    ),
    "damp": (lambda e, r: ms.damp(e), lambda z, s: 0.5 * z),
    "zero": (lambda e, r: ms.zero(e), lambda z, s: 0 * z),
    "aura": (
        lambda e, r: ms.aura(e),
        lambda z, s: torch.tensor(1 - 2 * np.maximum(s.auroc - 0.5, 0)) * z,
    ),
    "shift": (
        lambda e, r: ms.shift(e, r, remove=SOURCE),
        lambda z, s: z + torch.tensor(s.mean[TARGET].mean(0) - s.mean[SOURCE].mean(0)),
    ),
    "gaussian": (
        lambda e, r: ms.interventions.gaussian_transport(e, r, source=SOURCE),
        lambda z, s: gaussian(z, s.mean[SOURCE], s.mean[TARGET]),
    ),
    "linear": (
        lambda e, r: ms.interventions.linear_transport(e, r, source=SOURCE),
        lambda z, s: linear(z, s.mean[SOURCE], s.mean[TARGET]),
    ),
}


@dataclass(frozen=True)
class Bench:
    model: Any
    recording: Recording
    experts: ms.Experts
    inputs: dict[str, Tensor]

    @torch.inference_mode()
    def logits(self) -> Tensor:
        """Of real tokens: steering leaves padding alone, which plain hooks do not."""
        return self.model(**self.inputs)[self.inputs["attention_mask"].bool()]


@pytest.fixture(scope="module")
def bench(
    model: Any, recording: Recording, experts: ms.Experts, inputs: dict[str, Tensor]
) -> Bench:
    return Bench(model, recording, experts, inputs)


@pytest.mark.parametrize("strength", [1.0, 0.4])
@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_an_edit_equals_plain_hooks_with_the_published_formula(
    bench: Bench, seen: list[Seen], name: str, strength: float
) -> None:
    make, formula = CONSTRUCTORS[name]
    before = bench.logits()
    with ExitStack() as hooks:
        for s in seen:

            def mix(z: Tensor, s: Seen = s) -> Tensor:
                return strength * formula(z, s) + (1 - strength) * z

            hooks.enter_context(mapped(bench.model, s.layer, s.neurons, mix))
        expected = bench.logits()
    with ms.steer(bench.model, make(bench.experts, bench.recording).scaled(strength)):
        found = bench.logits()
    scale = expected.abs().max()
    assert (found - expected).abs().max() <= 1e-5 * scale
    assert (expected - before).abs().max() > 1e-3 * scale


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_no_experts_and_no_strength_leave_the_bits_alone(bench: Bench, name: str) -> None:
    make, before = CONSTRUCTORS[name][0], bench.logits()
    nobody = make(bench.experts.pick([]), bench.recording)
    for edit in (nobody, make(bench.experts, bench.recording).scaled(0)):
        with ms.steer(bench.model, edit):
            assert torch.equal(bench.logits(), before)
