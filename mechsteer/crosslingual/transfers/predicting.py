"""What every probe says of every test sentence under one condition, measured once and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.crosslingual.transfers.division import Division
from mechsteer.crosslingual.transfers.probe import Learning, fit_probe
from mechsteer.errors import ArtifactError, MechsteerError

Predictions = Int[Tensor, "layer source target sentence"]


@dataclass(frozen=True)
class Lesson:
    """What is learnt and tested under every condition alike."""

    division: Division
    layers: tuple[int, ...]
    how: Learning

    def predictions(self, embeddings: LayerEmbeddings) -> Predictions:
        """The class that the probe of each source gives each test sentence of each target.

        Raises:
            MechsteerError: no such layer, or what ``fit_probe`` refuses.
        """
        languages = self.division.task.corpus.languages
        self._require_layers(embeddings)
        return torch.stack(
            [
                torch.stack([self._of_source(embeddings, layer, source) for source in languages])
                for layer in self.layers
            ]
        )

    def _of_source(
        self, embeddings: LayerEmbeddings, layer: int, source: str
    ) -> Int[Tensor, "target sentence"]:
        task, train = self.division.task, list(self.division.train)
        y = classes_of(task.labels, task.classes)[train]
        groups = [task.groups[row] for row in train]
        probe = fit_probe(embeddings[source][layer][train], y, groups, self.how)
        test = list(self.division.test)
        found = [probe.predict(embeddings[code][layer][test]) for code in task.corpus.languages]
        return torch.from_numpy(np.stack(found)).to(torch.int16)

    def _require_layers(self, embeddings: LayerEmbeddings) -> None:
        rows = len(next(iter(embeddings.values())))
        if wrong := [layer for layer in self.layers if layer >= rows]:
            raise MechsteerError(f"expected layers from 0 to {rows - 1}, got {wrong}")

    def centred(self, embeddings: LayerEmbeddings) -> dict[str, Tensor]:
        """Embeddings without their language's mean over the training sentences, labels unseen."""
        train = list(self.division.train)
        return {
            code: (x.double() - x[:, train].double().mean(1, keepdim=True)).to(x.dtype)
            for code, x in embeddings.items()
        }


def classes_of(labels: Sequence[str], classes: Sequence[str]) -> Int[np.ndarray, " sentence"]:
    """Labels as numbers of classes."""
    number = {label: i for i, label in enumerate(classes)}
    return np.array([number[label] for label in labels], dtype=np.int64)


def kept(path: Path, key: str) -> Predictions | None:
    """Predictions that were made from ``key``; None where nothing intact is of the kind."""
    if not path.exists():
        return None
    try:
        tensors, metadata = read_tensors(path)
    except ArtifactError:
        return None  # damaged: measure again
    return tensors.get("predictions") if metadata.get("key") == key else None


def keep(path: Path, key: str, predictions: Predictions) -> None:
    """Write predictions with the key of all that determines them."""
    write_tensors(path, {"predictions": predictions}, {"key": key})


def truth(division: Division) -> Int[np.ndarray, " sentence"]:
    """The classes of the test sentences."""
    labels: Mapping[int, str] = dict(enumerate(division.task.labels))
    return classes_of([labels[row] for row in division.test], division.task.classes)
