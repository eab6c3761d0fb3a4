"""A recording that exceeds the memory and has no folder: in files without a name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mechsteer.artifacts.unnamed import unnamed, write_at
from mechsteer.errors import ArtifactError
from mechsteer.kernels import Pooling
from mechsteer.model.sites import HookSite
from mechsteer.recording.gathering import gathered
from mechsteer.recording.on_disk import OnDisk
from mechsteer.recording.store import Columns, Pooled, Store


class _Part(NamedTuple):
    """Where the values ``[neuron, sentence]`` of a hook point in a batch lie."""

    at: int
    dtype: torch.dtype


class Spilled(Store):
    """Pooled values of a whole corpus in the folder for temporary files, ``TMPDIR``.

    Neurons lie batch after batch, as in ``Shards``, in their own type; embeddings by language. Both
    files have no name: they go with the process, however that ends.
    """

    def __init__(self, n_batches: int, n_sentences: int, embeddings: OnDisk | None = None) -> None:
        self._n_batches, self._n_sentences = n_batches, n_sentences
        self._embeddings, self._file, self._end = embeddings, unnamed(), 0
        self._parts: list[dict[tuple[HookSite, Pooling], _Part]] = []
        self._rows: list[Tensor] = []

    def writing(self) -> AbstractContextManager[None]:
        """Nobody else can write here."""
        return nullcontext()

    def missing(self) -> Sequence[int]:
        """All of them: nothing is there before."""
        return range(self._n_batches)

    def add(self, number: int, rows: Int[Tensor, " batch"], pooled: Pooled) -> None:
        """Write the values of a batch.

        Raises:
            ArtifactError: the disk is full.
        """
        residual = [z for (point, _), z in pooled.items() if point.kind == "residual"]
        if self._embeddings is not None:
            self._embeddings.add(rows, torch.stack(residual).cpu())
        parts: dict[tuple[HookSite, Pooling], _Part] = {}
        for (point, how), z in pooled.items():
            if point.kind != "residual":
                data = z.T.cpu().contiguous().view(torch.uint8).numpy()
                write_at(self._file, data, self._end)
                parts[point, how] = _Part(self._end, z.dtype)
                self._end += data.nbytes
        self._parts.append(parts)
        self._rows.append(rows)

    def activations(self, point: HookSite, pooling: Pooling) -> Shaped[Tensor, "sentence neuron"]:
        """The values of one hook point, neuron-major."""
        return self.columns([Columns(point, pooling, 0, point.width)])[0]

    def columns(self, wanted: Sequence[Columns]) -> list[Shaped[Tensor, "sentence _neuron"]]:
        """The values of some neurons, neuron-major; only these are read."""
        return gathered(self._batches(wanted), self._n_sentences)

    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """The values of every row of the residual stream, all of them in memory."""
        if self._embeddings is None:
            return torch.empty(0, 0, 0)
        return torch.cat([*self._embeddings.values()], dim=1)

    def embedded(self, counts: Mapping[str, int], room: int) -> OnDisk | None:
        """Embeddings by language, where they lie."""
        return self._embeddings

    def _batches(self, wanted: Sequence[Columns]) -> Iterator[tuple[Tensor, list[Tensor]]]:
        for rows, parts in zip(self._rows, self._parts, strict=True):
            n = len(rows)
            yield rows, [self._read(own, parts[own.point, own.pooling], n) for own in wanted]

    def _read(self, own: Columns, part: _Part, n: int) -> Tensor:
        size = n * part.dtype.itemsize
        data = bytearray((own.stop - own.start) * size)
        read = os.preadv(self._file.fileno(), [data], part.at + own.start * size)
        if read != len(data):
            raise ArtifactError("a temporary file ended early: its disk failed; run again")
        return torch.frombuffer(data, dtype=part.dtype).view(-1, n)
