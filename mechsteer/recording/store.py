"""Where a recording keeps its values: what a store does, and the stores in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.errors import ArtifactError
from mechsteer.kernels import Pooling
from mechsteer.model.sites import HookSite

# values of the sentences of one batch, by hook point and pooling
Pooled = Mapping[tuple[HookSite, Pooling], Shaped[Tensor, "batch width"]]


class Columns(NamedTuple):
    """Some neurons of one hook point under one pooling: those from ``start`` to before ``stop``."""

    point: HookSite
    pooling: Pooling
    start: int
    stop: int

    @property
    def whole(self) -> bool:
        """Whether these are all neurons of the hook point."""
        return self.start == 0 and self.stop == self.point.width


@runtime_checkable
class Store(Protocol):
    """Where a recording keeps its values: ``Memory``, or ``Shards`` on disk."""

    def writing(self) -> AbstractContextManager[None]:
        """While batches are added: nobody else adds any."""

    def missing(self) -> Sequence[int]:
        """Numbers of the batches that are still to be recorded."""

    def add(self, number: int, rows: Int[Tensor, " batch"], pooled: Pooled) -> None:
        """Keep the values of a batch, whose sentences have the numbers ``rows`` in the corpus."""

    def activations(self, point: HookSite, pooling: Pooling) -> Shaped[Tensor, "sentence neuron"]:
        """The values of one hook point."""

    def columns(self, wanted: Sequence[Columns]) -> list[Shaped[Tensor, "sentence _neuron"]]:
        """The values of some neurons, read in one go; of each hook point and pooling one range."""
        return [self.activations(own.point, own.pooling)[:, own.start : own.stop] for own in wanted]

    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """The values of every row of the residual stream; no layers where none were recorded."""

    def embedded(self, counts: Mapping[str, int], room: int) -> LayerEmbeddings | None:
        """Embeddings by language, of which ``room`` bytes may stand in memory together.

        None where all of them do so anyway.
        """
        del counts, room
        return None


class Memory(Store):
    """Pooled values of a whole corpus, filled batch by batch.

    Neurons are kept neuron-major, which is what scoring reads; embeddings sentence-major.
    """

    def __init__(
        self, n_batches: int, n_sentences: int, *, residual: Sequence[HookSite] = ()
    ) -> None:
        self._n_batches, self._n_sentences = n_batches, n_sentences
        width = residual[0].width if residual else 0
        self._embeddings = torch.empty(len(residual), n_sentences, width)
        self._tables: dict[tuple[HookSite, Pooling], Tensor] = {
            (point, "mean"): rows for point, rows in zip(residual, self._embeddings, strict=True)
        }

    def writing(self) -> AbstractContextManager[None]:
        """Nobody else can write here."""
        return nullcontext()

    def missing(self) -> Sequence[int]:
        """All of them: memory starts empty."""
        return range(self._n_batches)

    def add(self, number: int, rows: Int[Tensor, " batch"], pooled: Pooled) -> None:
        """Put the values of a batch where its sentences stand in the corpus."""
        for key, values in pooled.items():
            if key not in self._tables:
                shape = values.shape[1], self._n_sentences
                self._tables[key] = torch.empty(shape, dtype=values.dtype).T
            self._tables[key][rows] = values.cpu()

    def activations(self, point: HookSite, pooling: Pooling) -> Shaped[Tensor, "sentence neuron"]:
        """The values of one hook point, without a copy."""
        return self._tables[point, pooling]

    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """The values of every row of the residual stream, without a copy."""
        return self._embeddings


@dataclass(frozen=True)
class Swapped(Store):
    """A store whose sentences ``rows`` are those of another; both are only read."""

    own: Store
    other: Store
    rows: Int[Tensor, " swapped"]

    def writing(self) -> AbstractContextManager[None]:
        """Nothing is written."""
        return nullcontext()

    def missing(self) -> Sequence[int]:
        """None: both stores are full."""
        return ()

    def add(self, number: int, rows: Int[Tensor, " batch"], pooled: Pooled) -> None:
        """Nothing can be added."""
        raise ArtifactError("a recording with other sentences in it is only read")

    def activations(self, point: HookSite, pooling: Pooling) -> Shaped[Tensor, "sentence neuron"]:
        """The values of one hook point, neuron-major."""
        values = self.own.activations(point, pooling).T.clone()
        values[:, self.rows.to(values.device)] = self.other.activations(point, pooling).T
        return values.T

    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """No layers."""
        return torch.empty(0, 0, 0)
