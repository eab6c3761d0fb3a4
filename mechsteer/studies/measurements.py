"""What is measured of one condition: retrieval, alignment and distances of parallel sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechsteer.analysis.alignment import mean_distances, medoid, pair_distances
from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.held import at_layer
from mechsteer.analysis.hubness import occurrence_histogram
from mechsteer.analysis.retrieval import retrieval
from mechsteer.artifacts.files import read_tensors, write_tensors
from mechsteer.errors import ArtifactError
from mechsteer.studies.projection import Projection
from mechsteer.studies.quality import qualities


@dataclass(frozen=True)
class Measurements:
    """What one condition gives on parallel text, per sentence wherever one can be resampled.

    Attributes:
        top1: whether a sentence of ``source`` finds its translation in ``target``.
        margin: the same by ratio margin, see ``mechsteer.analysis.retrieval``.
        mexa: whether a pair beats all its rivals (the same in both directions).
        pair_distance: mean over language pairs and sentences of 1 - cosine.
        medoid_distance: 1 - cosine between each language's mean and the medoid of the means.
        mean_distance: 1 - cosine between the means of two languages.
        occurrence: how many sentences are among the 10 nearest of 0, 1, … queries at the layer of
            the projection, see ``mechsteer.analysis.hubness``; None without a projection.
        coordinates: where each sentence lies on the projection; None without one.
        quality: what ``mechsteer.studies.quality`` measures of the space; None if not asked for.
    """

    top1: Bool[Tensor, "layer source target sentence"]
    margin: Bool[Tensor, "layer source target sentence"]
    mexa: Bool[Tensor, "layer source target sentence"]
    pair_distance: Float[Tensor, " layer"]
    medoid_distance: Float[Tensor, "layer source"]
    mean_distance: Float[Tensor, "layer source target"]
    occurrence: Int[Tensor, " occurrence"] | None = None
    coordinates: Float[Tensor, "source sentence 2"] | None = None
    quality: Float[Tensor, "quality layer"] | None = None

    def save(self, path: Path, key: str) -> None:
        """Write to safetensors with the ``key`` of the inputs it was measured from."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        there = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        write_tensors(path, there, {"key": key, "content": _digest(there)})

    @classmethod
    def load(cls, path: Path, key: str) -> Measurements | None:
        """Read what ``save`` wrote from equal inputs; None where nothing intact is of the kind."""
        if not path.exists():
            return None
        try:
            tensors, metadata = read_tensors(path)
            if metadata.get("key") != key or metadata.get("content") != _digest(tensors):
                return None
            return cls(**tensors)
        except (ArtifactError, TypeError):
            return None  # damaged: measure again

    @classmethod
    def read(cls, path: Path) -> Measurements:
        """Read what ``save`` wrote, whatever it was measured from.

        Raises:
            ArtifactError: it is damaged.
        """
        tensors, metadata = read_tensors(path)
        try:
            if metadata.get("content") == _digest(tensors):
                return cls(**tensors)
        except TypeError:
            pass  # other tensors than these
        raise ArtifactError(f"{path} is damaged: study again")


def measure(
    embeddings: LayerEmbeddings,
    projection: Projection | None = None,
    *,
    probed: Collection[int] = (),
) -> Measurements:
    """Retrieval, MEXA and the three distances at every layer; hubs where sentences are projected.

    Args:
        embeddings: of parallel sentences, by language.
        projection: where the sentences are shown.
        probed: layers at which the costly qualities of the space are measured; with none of them
            no quality is.

    Raises:
        MechsteerError: fewer than two languages or sentences, NaN, zero embeddings.
    """
    n_layers = len(next(iter(embeddings.values())))
    rows = [_at_layer(at_layer(embeddings, layer)) for layer in range(n_layers)]
    names = ("top1", "margin", "mexa", "pair_distance", "medoid_distance", "mean_distance")
    columns = dict(zip(names, map(torch.stack, zip(*rows, strict=True)), strict=True))
    if projection is not None:
        columns["occurrence"] = occurrence_histogram(at_layer(embeddings, projection.layer))
        columns["coordinates"] = projection.coordinates(embeddings)
    if probed:
        columns["quality"] = qualities(embeddings, probed)
    return Measurements(**columns)


def _at_layer(embeddings: Mapping[str, Float[Tensor, "sentence d"]]) -> tuple[Tensor, ...]:
    hits = retrieval(embeddings)
    between = mean_distances(embeddings).float()
    different = ~torch.eye(len(embeddings), dtype=torch.bool)
    pairs = pair_distances(embeddings)[different].mean()
    return hits.top1, hits.margin, hits.mexa, pairs, between[medoid(between)], between


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash of names, shapes, types and bytes: damage that leaves a file readable shows."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return hashlib.sha256(safetensors.torch.save(plain)).hexdigest()
