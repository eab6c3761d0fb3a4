"""Runs conditions on one corpus and remembers, in a folder, what was measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.described import value
from mechsteer.artifacts.files import content_hash, read_json, write_json
from mechsteer.artifacts.runs import versions
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import ArtifactError
from mechsteer.interventions import Edit
from mechsteer.interventions.edits import fingerprint
from mechsteer.recording import Reading
from mechsteer.studies.conditions import BASE, BASELINES, Condition
from mechsteer.studies.edit_factory import EditFactory
from mechsteer.studies.measurements import Measurements, measure
from mechsteer.studies.projection import Projection
from mechsteer.studies.quality import QUALITIES


@dataclass(frozen=True)
class ModelFunctions:
    """What a study asks of a model; any two functions will do.

    Attributes:
        embed: layer embeddings of a corpus under an edit, or under none.
        bits_per_byte: how well texts of a language are predicted under an edit, or under none.
    """

    embed: Callable[[ParallelCorpus, Edit | None], LayerEmbeddings]
    bits_per_byte: Callable[[Sequence[str], str, Edit | None], float]


@dataclass(frozen=True)
class Runner:
    """Measures conditions on one corpus, each once; a folder remembers them.

    Attributes:
        model: how a condition is run.
        corpus: parallel text.
        factory: from conditions to edits.
        reading: how sentences are read, which is part of what determines a number.
        folder: where measurements are kept; None keeps nothing.
        projection: where sentences are shown, if anywhere.
        fitted_on: fingerprint of the text that baselines are fitted on.
    """

    model: ModelFunctions
    corpus: ParallelCorpus
    factory: EditFactory
    reading: Reading
    folder: Path | None = None
    projection: Projection | None = None
    fitted_on: str | None = None

    def path(self, condition: Condition, folder: Path) -> Path:
        """Where a condition's measurements are kept."""
        return folder / f"{condition.file_name}.safetensors"

    def bits_path(self, condition: Condition, language: str, folder: Path) -> Path:
        """Where it is kept how well a condition predicts a language."""
        return folder / f"{condition.file_name}.{content_hash(language)[:16]}.json"

    def embedded(self, condition: Condition, *, probed: Collection[int] = ()) -> Measurements:
        """Measure a condition by embedding the corpus under it."""
        return self.measured(condition, partial(self.embeddings, condition), probed=probed)

    def embeddings(self, condition: Condition = BASE) -> LayerEmbeddings:
        """Embed the corpus under a condition: the base, an edit or a random control."""
        return self.model.embed(self.corpus, self._edit(condition))

    def measured(
        self,
        condition: Condition,
        embed: Callable[[], LayerEmbeddings],
        *,
        probed: Collection[int] = (),
    ) -> Measurements:
        """Measure a condition, or read it back if just this was measured before."""
        if self.folder is None:
            return measure(embed(), self.projection, probed=probed)
        path = self.path(condition, self.folder)
        key = self._key(condition, probed=sorted(probed), qualities=QUALITIES if probed else ())
        known = Measurements.load(path, key)
        if known is None:
            known = measure(embed(), self.projection, probed=probed)
            known.save(path, key)
        return known

    def bits_per_byte(self, condition: Condition, language: str, texts: Sequence[str]) -> float:
        """How well some texts are predicted under a condition, measured once like all else."""
        edit = self._edit(condition)
        if self.folder is None:
            return self.model.bits_per_byte(texts, language, edit)
        path = self.bits_path(condition, language, self.folder)
        key = self._key(condition, texts=[language, *texts])
        known = _kept(path, key)
        if known is None:
            known = self.model.bits_per_byte(texts, language, edit)
            write_json(path, _signed(key, known))
        return known

    def _edit(self, condition: Condition) -> Edit | None:
        return None if condition == BASE else self.factory.edit(condition)

    def _key(self, condition: Condition, **asked: Any) -> str:
        """Hash of all that determines the numbers of a condition."""
        model = self.factory.scores.model
        edited = condition.edit is not None
        facts = {
            "condition": asdict(condition),
            "edit": fingerprint(self.factory.edit(condition)) if edited else None,
            "fitted on": self.fitted_on if condition in BASELINES else None,
            "corpus": self.corpus.fingerprint,
            "model": asdict(model) if model else None,
            "projection": self.projection.fingerprint if self.projection else None,
            "reading": asdict(self.reading),
            "versions": versions(),
        }
        return content_hash(facts | asked)


def _signed(key: str, value: float) -> dict[str, Any]:
    """A number with the key of what it was measured from, and a hash of both."""
    return {"key": key, "value": value, "sha256": content_hash([key, value])}


def _kept(path: Path, key: str) -> float | None:
    """The number that was measured from ``key``; None where it is missing or damaged."""
    try:
        known = read_json(path)
        found = float(value(float, known.get("value"), "value"))
        return found if known == _signed(key, found) else None
    except ArtifactError:
        return None


class Measured(Mapping[Condition, Measurements]):
    """What a runner measured, by condition, in the order it was.

    Where the runner has a folder a condition is read from it each time it is looked at, so that
    memory holds one however many there are.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._read: dict[Condition, Callable[[], Measurements]] = {}

    def add(
        self,
        condition: Condition,
        embed: Callable[[], LayerEmbeddings] | None = None,
        *,
        probed: Collection[int] = (),
    ) -> None:
        """Measure a condition, by embedding the corpus under it unless told how."""
        embed = embed or partial(self.runner.embeddings, condition)
        again = partial(self.runner.measured, condition, embed, probed=probed)
        found = again()
        self._read[condition] = again if self.runner.folder else lambda: found

    def __getitem__(self, condition: Condition) -> Measurements:
        return self._read[condition]()

    def __iter__(self) -> Iterator[Condition]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
