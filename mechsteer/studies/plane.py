"""One plane for every state of a model: fitted on the base, so that before and after compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.files import content_hash


@dataclass(frozen=True)
class Plane:
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
    def fit(cls, embeddings: LayerEmbeddings, layer: int) -> Plane:
        """Fit to the sentences of all languages together, in float64; d of 2 or more."""
        from sklearn.decomposition import PCA

        rows = torch.cat([x[layer] for x in embeddings.values()]).double().cpu().numpy()
        pca = PCA(n_components=2, svd_solver="covariance_eigh").fit(rows)
        first, second = pca.explained_variance_ratio_.tolist()
        axes = torch.from_numpy(pca.components_.T.copy())
        return cls(layer, torch.from_numpy(pca.mean_.copy()), axes, (first, second))

    def project(self, embeddings: LayerEmbeddings) -> Float[Tensor, "language sentence 2"]:
        """Where the sentences of each language lie, in float32: ``(x - origin) @ axes``."""
        rows = torch.stack([x[self.layer] for x in embeddings.values()]).double().cpu()
        return ((rows - self.origin) @ self.axes).float()

    @property
    def fingerprint(self) -> str:
        """Hash of all that determines a place on the plane."""
        return content_hash([self.layer, self.origin.tolist(), self.axes.tolist()])
