"""One projection for every condition: fitted on the base, so that before and after compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.held import Held, at_layer
from mechsteer.artifacts.files import content_hash
from mechsteer.errors import MechsteerError


@dataclass(frozen=True)
class Projection:
    """The first two principal components of the untouched model's embeddings at one layer.

    Attributes:
        layer: row of the residual stream.
        origin: mean embedding.
        axes: orthonormal; each turned so that its largest entry is positive.
        explained: share of the variance along each axis.
    """

    layer: int
    origin: Float[Tensor, " d"]
    axes: Float[Tensor, "d 2"]
    explained: tuple[float, float]

    @classmethod
    def fit(cls, embeddings: LayerEmbeddings, layer: int) -> Projection:
        """Fit to the sentences of all languages together, in float64.

        Where these exceed the room of embeddings that lie on a disk, the covariance is summed
        language by language; axes then differ by rounding, 1e-12 or so.

        Raises:
            MechsteerError: one dimension, or sentences that are all alike.
        """
        from sklearn.decomposition import PCA

        here = at_layer(embeddings, layer)
        if isinstance(here, Held) and 8 * sum(x.numel() for x in here.values()) > here.room:
            return cls(layer, *_summed(here, layer))
        rows = torch.cat([*here.values()]).double().cpu().numpy()
        if rows.shape[1] < 2 or (rows == rows[0]).all():
            raise MechsteerError(_flat(layer))
        pca = PCA(n_components=2, svd_solver="covariance_eigh").fit(rows)
        first, second = pca.explained_variance_ratio_.tolist()
        axes = torch.from_numpy(pca.components_.T.copy())
        return cls(layer, torch.from_numpy(pca.mean_.copy()), axes, (first, second))

    def coordinates(self, embeddings: LayerEmbeddings) -> Float[Tensor, "language sentence 2"]:
        """Where the sentences of each language lie, in float32: ``(x - origin) @ axes``."""
        here = at_layer(embeddings, self.layer)
        if isinstance(here, Held):
            return torch.stack([self._places(x) for x in here.values()])
        return self._places(torch.stack([*here.values()]))

    def _places(self, x: Float[Tensor, "*language sentence d"]) -> Tensor:
        return ((x.double().cpu() - self.origin) @ self.axes).float()

    @property
    def fingerprint(self) -> str:
        """Hash of all that determines a place on the projection."""
        return content_hash([self.layer, self.origin.tolist(), self.axes.tolist()])


def _flat(layer: int) -> str:
    return (
        f"expected embeddings of two dimensions that differ at layer {layer}: "
        "there is no plane to show them on"
    )


def _summed(here: Held, layer: int) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Mean, axes and explained shares from sums over languages: one of them in memory at a time."""
    n = sum(len(x) for x in here.values())
    mean = torch.stack([x.double().sum(0) for x in here.values()]).sum(0) / n
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for x in here.values():
        moved = x.double() - mean
        covariance += moved.T @ moved / (n - 1)
    total = covariance.trace()
    if len(mean) < 2 or not total > 0:
        raise MechsteerError(_flat(layer))
    values, vectors = torch.linalg.eigh(covariance)
    axes = vectors[:, [-1, -2]]
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    first, second = (values[[-1, -2]] / total).tolist()
    return mean, axes * largest.sign(), (first, second)
