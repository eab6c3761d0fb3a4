"""A plan: what a run will take, stage by stage, and where there is too little of something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from mechsteer.display import Displayed, count
from mechsteer.errors import MechsteerError
from mechsteer.planning.amounts import in_bytes


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Attributes:
        name: of the stage.
        seconds: by the clock, of the slowest process.
        processor_seconds: of the processor, of that process.
        flops: operations of the model, of all processes.
        memory: peak of one process, in bytes.
        disk: bytes that it leaves.
        basis: where its seconds come from.
    """

    name: str
    seconds: float
    processor_seconds: float
    flops: int
    memory: int
    disk: int
    basis: str


@dataclass(frozen=True, repr=False)
class Plan(Displayed):
    """What a run will take.

    Attributes:
        model: as it was named.
        device: where the model is to run.
        ranks: processes.
        languages: of the corpus, or its labels.
        sentences: of the corpus.
        tokens: of the corpus, without padding.
        padded: of all batches.
        tokens_counted: whether a tokenizer counted them; else they are told from bytes.
        batch_tokens: of a batch at most.
        neurons: that are scored.
        parameters: of the model.
        states: that are embedded and measured, of a study.
        stages: in their order; the last is the whole.
        shortages: what there is too little of, in words; empty where all fits.
        kind: what the corpus is told apart by, ``"language"`` or ``"label"``.
    """

    model: str
    device: str
    ranks: int
    languages: int
    sentences: int
    tokens: int
    padded: int
    tokens_counted: bool
    batch_tokens: int
    neurons: int
    parameters: int
    states: int
    stages: tuple[Stage, ...]
    shortages: tuple[str, ...] = ()
    kind: str = "language"

    def __getitem__(self, name: str) -> Stage:
        """A stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    def _line(self) -> str:
        text = f"{count(self.sentences, 'sentence')} in {count(self.languages, self.kind)}"
        needs = f"{in_bytes(self.memory)} of memory, {in_bytes(self.disk)} of disk"
        short = f"; short of {count(len(self.shortages), 'thing')}" if self.shortages else ""
        return f"{text} on {self.device}: {self.stages[-1].seconds:.3g} s, {needs}{short}"

    def _shown(self) -> pd.DataFrame:
        return self.table()

    @property
    def disk(self) -> int:
        """Bytes of all that a run leaves."""
        return self.stages[-1].disk

    @property
    def memory(self) -> int:
        """Bytes of the largest stage's peak, of one process."""
        return max(stage.memory for stage in self.stages)

    def table(self) -> pd.DataFrame:
        """One row a stage."""
        return pd.DataFrame([asdict(stage) for stage in self.stages])

    def as_dict(self) -> Mapping[str, Any]:
        """All of it in JSON's types."""
        return asdict(self) | {"disk": self.disk, "memory": self.memory}

    def require_room(self) -> None:
        """Refuse a run that does not fit.

        Raises:
            MechsteerError: disk or memory fall short; the first of what is missing is named.
        """
        if self.shortages:
            raise MechsteerError(self.shortages[0])
