"""One projection for every condition: fitted on the base, so that before and after compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
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

        Raises:
            MechsteerError: one dimension, or sentences that are all alike.
        """
        from sklearn.decomposition import PCA

        rows = torch.cat([x[layer] for x in embeddings.values()]).double().cpu().numpy()
        if rows.shape[1] < 2 or (rows == rows[0]).all():
            raise MechsteerError(
                f"expected embeddings of two dimensions that differ at layer {layer}: "
                "there is no plane to show them on"
            )
        pca = PCA(n_components=2, svd_solver="covariance_eigh").fit(rows)
        first, second = pca.explained_variance_ratio_.tolist()
        axes = torch.from_numpy(pca.components_.T.copy())
        return cls(layer, torch.from_numpy(pca.mean_.copy()), axes, (first, second))

    def coordinates(self, embeddings: LayerEmbeddings) -> Float[Tensor, "language sentence 2"]:
        """Where the sentences of each language lie, in float32: ``(x - origin) @ axes``."""
        rows = torch.stack([x[self.layer] for x in embeddings.values()]).double().cpu()
        return ((rows - self.origin) @ self.axes).float()

    @property
    def fingerprint(self) -> str:
        """Hash of all that determines a place on the projection."""
        return content_hash([self.layer, self.origin.tolist(), self.axes.tolist()])
