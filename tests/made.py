"""Recordings and experts of a model that does not exist, from random float64 activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mechsteer.experts.moments import Moments
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site
from mechsteer.recording import Recording
from mechsteer.recording.store import Store

LANGUAGES = ("deu_Latn", "fra_Latn", "jpn_Jpan")
COUNTS = (11, 7, 9)
SITE = Site(
    "post", tuple(HookSite("post", i, f"blocks.{i}", width) for i, width in enumerate((13, 17)))
)
MODEL = ModelIdentity("made", "none", 2, 8, "config", "weights", "words", "float64")


@dataclass
class Tables(Store):
    """A store that holds float64 ``[sentence, neuron]`` of each hook point and pooling."""

    tables: dict[tuple[HookSite, str], Tensor]

    def activations(self, point: HookSite, pooling: str) -> Tensor:
        return self.tables[point, pooling]


def made_recording(
    seed: int = 0, *, counts: tuple[int, ...] = COUNTS, poolings: tuple[str, ...] = ("mean", "max")
) -> Recording:
    random = np.random.default_rng(seed)
    tables = {
        (point, how): torch.from_numpy(random.normal(size=(sum(counts), point.width)))
        for point in SITE.points
        for how in poolings
    }
    return Recording(
        SITE,
        poolings,
        LANGUAGES,
        torch.repeat_interleave(torch.tensor(counts)),
        torch.ones(sum(counts), dtype=torch.int64),
        SITE.points,
        False,
        MODEL,
        {},
        0,
        Tables(tables),
    )


def made_scores(seed: int = 0, *, pooling: str = "max", **given: Tensor) -> NeuronScores:
    generator = torch.Generator().manual_seed(seed)
    names = ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std")
    shape = len(LANGUAGES), SITE.n_neurons
    tables = {name: torch.rand(shape, generator=generator) for name in names} | given
    # of means the same as of what is scored: a clamp holds at means unless told
    means = Moments(*(tables[name] for name in ("mean", "median", "rest_mean")))
    beside = {} if pooling == "mean" else {"mean": means}
    return NeuronScores(LANGUAGES, SITE, pooling, COUNTS, sum(COUNTS), beside=beside, **tables)


def columns(recording: Recording, experts: Experts, language: str | None, how: str) -> np.ndarray:
    """Float64 ``[sentence, expert]`` of a language, or of all others than the experts'."""
    whole = np.concatenate([recording.activations(p, pooling=how) for p in SITE.points], axis=1)
    row = LANGUAGES.index(language or experts.language)
    inside = (recording.labels == row).numpy() == (language is not None)
    return whole[inside][:, experts.index.numpy()]
