"""Embeddings of many languages in one file without a name, read one language at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import IO

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.analysis.held import Change, Held
from mechsteer.artifacts.unnamed import unnamed, write_at

_ITEM = 4  # bytes of a float32


@dataclass(frozen=True, eq=False)
class OnDisk(Held):
    """``[layer, sentence, d_model]`` of each language, float32, one after the other in a file.

    What is read is a view of the file, so that one layer of it costs that layer alone, and the
    memory is free again once nobody holds it. The file has no name: it goes with the process,
    however that ends. It lies in the folder for temporary files (``TMPDIR``).

    Attributes:
        counts: sentences of each language.
        n_layers: rows of the residual stream.
        width: d_model.
        room: bytes of languages that are read together.
    """

    counts: Mapping[str, int]
    n_layers: int
    width: int
    room: int
    _file: IO[bytes] = field(default_factory=unnamed)

    def __post_init__(self) -> None:
        size = sum(self.counts.values()) * self.n_layers * self.width * _ITEM
        os.ftruncate(self._file.fileno(), size)  # sparse, so that what was not written reads as 0

    def __getitem__(self, language: str) -> Float[Tensor, "layer _sentence d_model"]:
        shape = self.n_layers, self.counts[language], self.width
        at = self._starts[language] * self.n_layers * self.width * _ITEM
        return torch.from_numpy(np.memmap(self._file, np.float32, "c", at, shape))

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def put(self, language: str, x: Float[Tensor, "layer _sentence d_model"]) -> None:
        """Write all sentences of one language.

        Raises:
            ArtifactError: the disk is full.
        """
        at = self._starts[language] * self.n_layers * self.width * _ITEM
        for layer in x:
            data = layer.contiguous().numpy()
            write_at(self._file, data, at)
            at += data.nbytes

    def add(
        self, rows: Int[Tensor, " batch"], values: Float[Tensor, "layer batch d_model"]
    ) -> None:
        """Write sentences by their numbers in the corpus, whose languages lie one after the other.

        Raises:
            ArtifactError: the disk is full.
        """
        starts = [*self._starts.values()]
        counts = [*self.counts.values()]
        data = values.contiguous().numpy()
        for column, row in enumerate(rows.tolist()):
            number = int(np.searchsorted(starts, row, side="right")) - 1
            start, n = starts[number], counts[number]
            for layer in range(self.n_layers):
                place = start * self.n_layers + layer * n + row - start
                write_at(self._file, data[layer, column], place * self.width * _ITEM)

    def mapped(self, change: Change) -> OnDisk:
        """Each language's embeddings, changed, in a file of their own."""
        changed = ((language, change(language, self[language])) for language in self)
        return OnDisk.of(changed, self.room)

    @classmethod
    def of(cls, embeddings: Iterable[tuple[str, Tensor]], room: int) -> OnDisk:
        """Embeddings that come one language at a time."""
        counts: dict[str, int] = {}
        made: OnDisk | None = None
        for language, x in embeddings:
            made = made or cls(counts, len(x), x.shape[2], room)
            counts[language] = x.shape[1]
            made.put(language, x)
        assert made is not None  # a corpus has languages
        return made

    @property
    def _starts(self) -> dict[str, int]:
        """Number of each language's first sentence."""
        return dict(zip(self.counts, accumulate(self.counts.values(), initial=0), strict=False))
