"""Probes under every condition, without a model: embeddings come from a function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.files import content_hash
from mechsteer.artifacts.runs import versions
from mechsteer.corpus import ParallelCorpus
from mechsteer.crosslingual.transfers.counting import Resamples
from mechsteer.crosslingual.transfers.division import Division
from mechsteer.crosslingual.transfers.findings import Transfer
from mechsteer.crosslingual.transfers.predicting import Lesson, Predictions, keep, kept, truth
from mechsteer.crosslingual.transfers.tables import Judged, tabulate
from mechsteer.interventions import Edit
from mechsteer.interventions.edits import fingerprint
from mechsteer.progress import progress
from mechsteer.studies.conditions import BASE, CENTRING, Condition

Embed = Callable[[ParallelCorpus, Edit | None], LayerEmbeddings]


@dataclass(frozen=True)
class Inputs:
    """What transfer is about.

    Attributes:
        embed: layer embeddings of a corpus under an edit, or under none.
        lesson: what is learnt and tested.
        edits: of every condition beside the base and centring.
        centring: whether embeddings without their languages' means are probed too.
        facts: what determines the embeddings beside the edit: the model, and how text is read.
        folder: where predictions are kept; None keeps them in memory.
    """

    embed: Embed
    lesson: Lesson
    edits: Mapping[Condition, Edit]
    centring: bool
    facts: Mapping[str, Any]
    folder: Path | None = None
    _base: list[LayerEmbeddings] = field(default_factory=list, repr=False)

    def predictions(self, condition: Condition) -> Predictions:
        """What the probes say under a condition, or what they said before."""
        if self.folder is None:
            return self.lesson.predictions(self._embedded(condition))
        path = self.folder / f"{condition.file_name}.safetensors"
        key = self._key(condition)
        known = kept(path, key)
        if known is None:
            known = self.lesson.predictions(self._embedded(condition))
            keep(path, key, known)
        return known

    def _embedded(self, condition: Condition) -> LayerEmbeddings:
        corpus = self.lesson.division.task.corpus
        if condition in self.edits:
            return self.embed(corpus, self.edits[condition])
        if not self._base:  # the base and centring are one pass
            self._base.append(self.embed(corpus, None))
        base = self._base[0]
        return self.lesson.centred(base) if condition == CENTRING else base

    def _key(self, condition: Condition) -> str:
        edit, division = self.edits.get(condition), self.lesson.division
        return content_hash(
            {
                "condition": asdict(condition),
                "edit": None if edit is None else fingerprint(edit),
                "task": division.task.fingerprint,
                "division": [list(division.train), list(division.test)],
                "layers": list(self.lesson.layers),
                "how": asdict(self.lesson.how),
                "versions": versions(),
                **self.facts,
            }
        )


def run(inputs: Inputs, *, resamples: int, seed: int, provenance: Mapping[str, Any]) -> Transfer:
    """Probe every condition, each once, and tabulate what the probes say."""
    conditions = [BASE, *([CENTRING] if inputs.centring else []), *inputs.edits]
    found: dict[Condition, Callable[[], Predictions]] = {}
    for condition in progress(conditions, "probing transfer", "condition"):
        predictions = inputs.predictions(condition)
        found[condition] = (
            partial(_given, predictions)
            if inputs.folder is None
            else partial(inputs.predictions, condition)
        )
    inputs._base.clear()
    division = inputs.lesson.division
    task = division.task
    tested = Judged(
        languages=task.corpus.languages,
        layers=inputs.lesson.layers,
        y=truth(division),
        n_classes=len(task.classes),
        resamples=Resamples.of([task.groups[row] for row in division.test], resamples, seed),
    )
    return Transfer(
        results=tabulate(found, tested),
        languages=task.corpus.languages,
        classes=task.classes,
        layers=inputs.lesson.layers,
        n_train=len(division.train),
        n_test=len(division.test),
        majority=_majority(division),
        provenance=provenance,
    )


def _given(predictions: Predictions) -> Predictions:
    return predictions


def _majority(division: Division) -> float:
    """Accuracy of always naming the commonest class of training; of equals the first by name."""
    labels = division.task.labels
    count = Counter(labels[row] for row in division.train)
    commonest = min(count, key=lambda label: (-count[label], label))
    return sum(labels[row] == commonest for row in division.test) / len(division.test)
