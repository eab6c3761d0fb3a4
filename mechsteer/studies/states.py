"""Model states and what is measured in each: the model as it is, edited, or re-centred."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.analysis.alignment import mean_distances, medoid, pair_distances
from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.hubness import occurrence_histogram
from mechsteer.analysis.retrieval import retrieval
from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.errors import ArtifactError
from mechsteer.studies.plane import Plane
from mechsteer.studies.quality import qualities


@dataclass(frozen=True)
class State:
    """One way to run the model; the columns of the results table that name it."""

    edit: str = "none"
    language: str = ""
    k: int = 0
    strength: float = 1.0
    seed: int = -1

    @property
    def label(self) -> str:
        """A short name, fit for files and progress bars.

        >>> State("random", "fra_Latn", 50, 1.0, 2).label
        'random fra_Latn k=50 λ=1 seed=2'
        """
        parts = [self.edit.replace("/", "-"), self.language]
        parts += [f"k={self.k}"] if self.k else []
        parts += [f"λ={self.strength:g}"] if self.edit not in ("none", "centring") else []
        parts += [f"seed={self.seed}"] if self.seed >= 0 else []
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Measures:
    """What one state gives on parallel text, per sentence wherever a sentence can be resampled.

    Attributes:
        top1: whether a sentence of ``source`` finds its translation in ``target``.
        margin: the same by ratio margin, see ``mechsteer.analysis.retrieval``.
        mexa: whether a pair beats all its rivals (the same in both directions).
        pair_distance: mean over language pairs and sentences of 1 - cosine.
        medoid_distance: 1 - cosine between each language's mean and the medoid of the means.
        mean_distance: 1 - cosine between the means of two languages.
        occurrence: how many sentences are among the 10 nearest of 0, 1, … queries at the layer of
            the plane, see ``mechsteer.analysis.hubness``; empty without a plane.
        place: where each sentence lies on the plane; empty without one.
        quality: what ``mechsteer.studies.quality`` measures of the space; empty if not asked for.
    """

    top1: Bool[Tensor, "layer source target sentence"]
    margin: Bool[Tensor, "layer source target sentence"]
    mexa: Bool[Tensor, "layer source target sentence"]
    pair_distance: Float[Tensor, " layer"]
    medoid_distance: Float[Tensor, "layer language"]
    mean_distance: Float[Tensor, "layer source target"]
    occurrence: Int[Tensor, " occurrence"]
    place: Float[Tensor, "language sentence 2"]
    quality: Float[Tensor, "quality layer"]

    def save(self, path: Path, key: str) -> None:
        """Write to safetensors with the ``key`` of the inputs it was measured from."""
        write_tensors(path, {f.name: getattr(self, f.name) for f in fields(self)}, {"key": key})

    @classmethod
    def load(cls, path: Path, key: str) -> Measures | None:
        """Read what ``save`` wrote from equal inputs; None where there is nothing of the kind."""
        if not path.exists():
            return None
        try:
            tensors, metadata = read_tensors(path)
            return cls(**tensors) if metadata.get("key") == key else None
        except (ArtifactError, TypeError):
            return None  # damaged: measure again


def measure(
    embeddings: LayerEmbeddings, plane: Plane | None = None, *, probed: Collection[int] = ()
) -> Measures:
    """Retrieval, MEXA and the three distances at every layer; hubs and places at the plane's.

    Args:
        embeddings: of parallel sentences, by language.
        plane: where the sentences are shown.
        probed: layers at which the costly qualities of the space are measured; with none of them
            no quality is.

    Raises:
        MechsteerError: fewer than two languages or sentences, NaN, zero embeddings.
    """
    n_layers = len(next(iter(embeddings.values())))
    rows = [
        _at_layer({code: x[layer] for code, x in embeddings.items()}) for layer in range(n_layers)
    ]
    names = ("top1", "margin", "mexa", "pair_distance", "medoid_distance", "mean_distance")
    columns = zip(names, map(torch.stack, zip(*rows, strict=True)), strict=True)
    hubs, place = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 0, 2)
    if plane is not None:
        hubs = occurrence_histogram({code: x[plane.layer] for code, x in embeddings.items()})
        place = plane.project(embeddings)
    quality = qualities(embeddings, probed) if probed else torch.zeros(0, 0)
    return Measures(**dict(columns), occurrence=hubs, place=place, quality=quality)


def _at_layer(embeddings: Mapping[str, Float[Tensor, "sentence d"]]) -> tuple[Tensor, ...]:
    hits = retrieval(embeddings)
    between = mean_distances(embeddings).float()
    different = ~torch.eye(len(embeddings), dtype=torch.bool)
    pairs = pair_distances(embeddings)[different].mean()
    return hits.top1, hits.margin, hits.mexa, pairs, between[medoid(between)], between
