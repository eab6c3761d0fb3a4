"""A recording on disk: one file a batch, written whole or not at all, so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mechsteer.artifacts.files import explain_difference, read_json, write_json, write_tensors
from mechsteer.errors import ArtifactError
from mechsteer.kernels import Pooling
from mechsteer.model.sites import HookSite
from mechsteer.recording.store import Pooled

_PLAN = "plan.json"
_ROWS = "rows"


class Shards:
    """The folder of a recording: ``plan.json`` and ``NNNNN.safetensors``, one a batch.

    A shard holds the numbers of its sentences in the corpus and, neuron-major, their pooled values.
    """

    def __init__(
        self,
        directory: Path,
        n_batches: int,
        n_sentences: int,
        *,
        inputs: Mapping[str, Any],
        residual: Sequence[HookSite] = (),
    ) -> None:
        """Start a recording, or take up the one that is there if its inputs are equal.

        Raises:
            ArtifactError: the folder holds a recording of something else; the message says what.
        """
        self._paths = [directory / f"{number:05d}.safetensors" for number in range(n_batches)]
        self._n_sentences, self._residual = n_sentences, tuple(residual)
        _take_up(directory / _PLAN, inputs)
        for torn in directory.glob(".*.*"):  # what a killed run was writing
            torn.unlink()

    def missing(self) -> list[int]:
        """Numbers of the batches that are still to be recorded."""
        return [number for number, path in enumerate(self._paths) if not path.exists()]

    def add(self, number: int, rows: Int[Tensor, " batch"], pooled: Pooled) -> None:
        """Write the values of one batch as its shard."""
        tensors = {_name(point, pooling): z.T for (point, pooling), z in pooled.items()}
        write_tensors(self._paths[number], {_ROWS: rows, **tensors})

    def activations(self, point: HookSite, pooling: Pooling) -> Shaped[Tensor, "sentence neuron"]:
        """The values of one hook point, the transpose of contiguous ``[neuron, sentence]``.

        Raises:
            ArtifactError: a shard is missing or damaged.
        """
        table = None
        for path in self._paths:
            rows, values = _read(path, _name(point, pooling))
            if table is None:
                table = torch.empty(len(values), self._n_sentences, dtype=values.dtype)
            table[:, rows] = values
        assert table is not None  # a corpus has sentences
        return table.T

    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """The values of every row of the residual stream.

        Raises:
            ArtifactError: a shard is missing or damaged.
        """
        width = self._residual[0].width if self._residual else 0
        whole = torch.empty(len(self._residual), self._n_sentences, width)
        for layer, point in zip(whole, self._residual, strict=True):
            for path in self._paths:
                rows, values = _read(path, _name(point, "mean"))
                layer[rows] = values.T
        return whole


def _take_up(plan: Path, inputs: Mapping[str, Any]) -> None:
    if not plan.exists():
        if next(plan.parent.glob("*.safetensors"), None):
            raise ArtifactError(f"{plan.parent} holds shards without their {_PLAN}: delete them")
        write_json(plan, inputs)
    found = read_json(plan)
    if found != inputs:
        raise ArtifactError(
            f"{plan.parent} holds another recording ({explain_difference(inputs, found)}): "
            "name another folder, or delete this one"
        )


def _read(path: Path, name: str) -> tuple[Tensor, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return file.get_tensor(_ROWS), file.get_tensor(name)
    except (safetensors.SafetensorError, OSError) as error:
        raise ArtifactError(
            f"{path} is missing or damaged ({error}): delete it and record again, the rest is kept"
        ) from None


def _name(point: HookSite, pooling: Pooling) -> str:
    return f"{point.component}.{point.layer}.{pooling}"
