"""Labelled parallel sentences and embeddings in which who transfers to whom is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mechsteer.corpus import ParallelCorpus, Task

LANGUAGES = ("eng_Latn", "deu_Latn", "fra_Latn", "vie_Latn")
CLASSES = ("a", "b", "c")
D = 12


def task(n: int = 90, *, languages: tuple[str, ...] = LANGUAGES, name: str = "made") -> Task:
    """Sentence i of class i mod 3, no two alike."""
    sentences = {code: [f"{name} {code} {i}" for i in range(n)] for code in languages}
    return Task(ParallelCorpus(sentences, name=name), tuple(CLASSES[i % 3] for i in range(n)))


def space(
    task: Task, *, seed: int = 0, noise: float = 0.3, offset: float = 0.0
) -> dict[str, Tensor]:
    """Float32 ``[2, sentence, D]``: row 0 is noise, row 1 has one direction a class in all
    languages but Vietnamese, whose directions are others; ``offset`` moves each language's mean.
    """
    random = np.random.default_rng(seed)
    y = np.array([CLASSES.index(label) for label in task.labels])
    shared, own = random.normal(size=(2, 3, D))
    found = {}
    for code in task.corpus.languages:
        meaning = (own if code == "vie_Latn" else shared)[y]
        rows = meaning + noise * random.normal(size=meaning.shape) + offset * random.normal(size=D)
        found[code] = torch.from_numpy(np.stack([random.normal(size=rows.shape), rows])).float()
    return found
