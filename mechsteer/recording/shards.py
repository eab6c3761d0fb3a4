"""A recording on disk: one file a batch, written whole or not at all, so that it can be resumed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mechsteer.artifacts.atomic import is_torn, write_bytes
from mechsteer.artifacts.files import (
    content_hash,
    explain_difference,
    read_signed,
    read_tensors,
    write_signed,
    write_tensors,
)
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.runs import log_work
from mechsteer.errors import ArtifactError
from mechsteer.kernels import Pooling
from mechsteer.memory import embeddings_bytes
from mechsteer.model.sites import HookSite
from mechsteer.ranks import current, everywhere
from mechsteer.recording.gathering import gathered
from mechsteer.recording.on_disk import OnDisk
from mechsteer.recording.store import Columns, Pooled, Store

PLAN = "plan.json"
_ROWS = "rows"
_SHARD = re.compile(r"\d{5,}\.safetensors")


class Shards(Store):
    """The folder of a recording: ``plan.json`` and ``NNNNN.safetensors``, one a batch.

    A shard holds the numbers of its sentences in the corpus and, neuron-major, their pooled values;
    its metadata say which batch of which plan it is, so that no other shard passes for it.
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
            ArtifactError: the folder holds a recording of something else, or files that are none
                of a recording's; the message says what.
        """
        self._paths = [directory / f"{number:05d}.safetensors" for number in range(n_batches)]
        self._n_sentences, self._residual = n_sentences, tuple(residual)
        self._directory, self._recording = directory, content_hash(inputs)
        # of each shard, the tensors that were as they had been written when they were first read
        self._verified: list[set[str]] = [set() for _ in self._paths]
        self._rows: dict[int, Tensor] = {}
        self._ranks = current()
        with locked(directory), self._ranks.in_turn("the plan of the recording"):
            _take_up(directory / PLAN, inputs)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While shards are added: no other command adds any, and all ranks are done at the end.

        Raises:
            ArtifactError: another command is recording into the folder.
        """
        with locked(self._directory):
            with self._ranks.together("recording"):
                yield
            for path, shard in everywhere(self._paths, self._ranks, "shards"):
                write_bytes(path, shard)

    def missing(self) -> list[int]:
        """Numbers of the batches that are still to be recorded; of several ranks this one's."""
        missing = [number for number, path in enumerate(self._paths) if not path.exists()]
        missing = self._ranks.agreed("batches to record", missing)
        own = self._ranks.share(missing)
        log_work(f"records {len(own)} of {len(missing)} batches")
        return own

    def add(self, number: int, rows: Int[Tensor, " batch"], pooled: Pooled) -> None:
        """Write the values of one batch as its shard."""
        tensors = {_name(point, pooling): z.T for (point, pooling), z in pooled.items()}
        write_tensors(self._paths[number], {_ROWS: rows, **tensors}, self._facts(number))

    def activations(self, point: HookSite, pooling: Pooling) -> Shaped[Tensor, "sentence neuron"]:
        """The values of one hook point, the transpose of contiguous ``[neuron, sentence]``.

        Raises:
            ArtifactError: a shard is missing or damaged.
        """
        return self.columns([Columns(point, pooling, 0, point.width)])[0]

    def columns(self, wanted: Sequence[Columns]) -> list[Shaped[Tensor, "sentence _neuron"]]:
        """Values of some neurons, each the transpose of contiguous ``[neuron, sentence]``.

        Every shard is opened once. Of each tensor in it the first call reads all, and compares the
        digest; later ones read the range that is asked for.

        Raises:
            ArtifactError: a shard is missing or damaged.
        """
        batches = (self._read(number, wanted) for number in range(len(self._paths)))
        return gathered(batches, self._n_sentences)

    def embeddings(self) -> Float[Tensor, "layer sentence d_model"]:
        """The values of every row of the residual stream.

        Raises:
            ArtifactError: a shard is missing or damaged.
        """
        width = self._residual[0].width if self._residual else 0
        whole = torch.empty(len(self._residual), self._n_sentences, width)
        if not self._residual:
            return whole
        for rows, values in self._embedded():
            whole[:, rows] = values
        return whole

    def embedded(self, counts: Mapping[str, int], room: int) -> OnDisk | None:
        """Embeddings by language in a file without a name, where they exceed ``room``.

        Raises:
            ArtifactError: a shard is missing or damaged, or the disk is full.
        """
        if not self._residual:
            return None
        n_layers, width = len(self._residual), self._residual[0].width
        if embeddings_bytes(self._n_sentences, n_layers, width) <= room:
            return None
        found = OnDisk(counts, n_layers, width, room)
        for rows, values in self._embedded():
            found.add(rows, values)
        return found

    def _embedded(self) -> Iterator[tuple[Tensor, Float[Tensor, "layer batch d_model"]]]:
        """The embeddings batch by batch: numbers of the sentences, and their rows."""
        wanted = [Columns(point, "mean", 0, point.width) for point in self._residual]
        for number in range(len(self._paths)):
            rows, parts = self._read(number, wanted)
            yield rows, torch.stack([part.T for part in parts])

    def _read(self, number: int, wanted: Sequence[Columns]) -> tuple[Tensor, list[Tensor]]:
        """Sentences of a batch, and their values of some neurons as they were recorded."""
        path = self._paths[number]
        spans = {_named(own): slice(own.start, own.stop) for own in wanted}
        known = self._verified[number]
        new = [own for own in wanted if own.whole or _named(own) not in known]
        whole = [*map(_named, new), *([] if number in self._rows else [_ROWS])]
        try:
            tensors, facts = read_tensors(
                path, whole, {name: span for name, span in spans.items() if name not in whole}
            )
        except ArtifactError as error:
            raise ArtifactError(f"{error}; the other shards are kept") from None
        if facts != self._facts(number):
            raise ArtifactError(
                f"{path} is batch {facts.get('batch')} of another recording, expected batch "
                f"{number} of this one: delete it and run again; the other shards are kept"
            )
        for own in new:
            _require_finite(path, own, tensors[name := _named(own)])
            tensors[name] = tensors[name][spans[name]]
        if number not in self._rows:
            self._rows[number] = tensors[_ROWS].clone()  # no view of the file
        known.update(spans)
        return self._rows[number], [tensors[name] for name in spans]

    def _facts(self, number: int) -> dict[str, str]:
        return {"recording": self._recording, "batch": str(number)}


def _take_up(plan: Path, inputs: Mapping[str, Any]) -> None:
    plan.parent.mkdir(parents=True, exist_ok=True)  # of a rank on a disk of its own
    _require_ours(plan.parent)
    if not plan.exists():
        if any(_SHARD.fullmatch(path.name) for path in plan.parent.iterdir()):
            raise ArtifactError(f"{plan.parent} holds shards without their {PLAN}: delete them")
        write_signed(plan, inputs)
    found = read_signed(plan)
    if found != inputs:
        raise ArtifactError(
            f"{plan.parent} holds another recording ({explain_difference(inputs, found)}): "
            "name another folder, or delete this one"
        )


def _require_ours(folder: Path) -> None:
    """Refuse a folder that holds anything else: it may be the user's."""
    for path in sorted(folder.iterdir()):
        ours = path.name == PLAN or is_torn(path) or _SHARD.fullmatch(path.name)
        if not ours:
            raise ArtifactError(
                f"{folder} holds {path.name!r}, which is no part of a recording: name a new folder"
            )


def _require_finite(path: Path, own: Columns, values: Tensor) -> None:
    if not all(some.isfinite().all() for some in torch.split(values, 256)):  # no copy of all
        point = own.point
        raise ArtifactError(
            f"{path}: an activation of {point.layer_name} ({point.component}, {own.pooling}) is "
            "not finite: delete it and run again; the other shards are kept"
        )


def _named(own: Columns) -> str:
    return _name(own.point, own.pooling)


def _name(point: HookSite, pooling: Pooling) -> str:
    return f"{point.component}.{point.layer}.{pooling}"
