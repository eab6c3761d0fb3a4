"""From recorded activations to a score of every neuron for every language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from mechsteer.corpus.given import Sentences, as_labelled
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.experts.among import Among, by_script, everyone
from mechsteer.experts.compiling import compiling
from mechsteer.experts.files import tables_of, together
from mechsteer.experts.scores import NeuronScores
from mechsteer.kernels import Pooling
from mechsteer.kernels import score as score_columns
from mechsteer.model.sites import HookSite
from mechsteer.model.wrap import ModelLike
from mechsteer.progress import progress
from mechsteer.recording import Recording, record
from mechsteer.recording.finite import naming
from mechsteer.recording.reading import DEFAULT_READING, Reading, ReadingOptions


def score(
    model: ModelLike,
    corpus: Sentences,
    *,
    site: str = "post",
    pooling: Pooling = "max",
    also_pooling: Pooling | Sequence[Pooling] = "mean",
    negative_only: Sequence[str] = (),
    tokenizer: Any = None,
    reading: Reading = DEFAULT_READING,
    directory: Path | None = None,
    **options: Unpack[ReadingOptions],
) -> NeuronScores:
    """Score every neuron of a site as a detector of every language, in one pass over the corpus.

    Args:
        model: whatever ``mechsteer.wrap`` takes.
        corpus: sentences by language; they need not be parallel.
        site: where neurons are read, see ``mechsteer.model.sites.find_site``.
        pooling: ``"max"``, ``"mean"`` or ``"last"`` over a sentence's real tokens.
        also_pooling: recorded in the same pass, so that edits can hold experts at values of it too;
            none saves the memory of it (a float32 for each neuron and sentence).
        negative_only: languages that count as negatives but get no score of their own.
        tokenizer: the model's plain one by default.
        reading: how sentences are read.
        directory: where to stream the recording, to resume it; None keeps it in memory.
        options: fields of ``reading`` one by one, such as ``truncate=True``.

    Raises:
        CorpusError: fewer than two languages.
    """
    corpus = as_labelled(corpus)
    if len(corpus.languages) < 2:
        raise CorpusError(
            f"expected at least two languages, got {list(corpus.languages)}: a detector of one "
            "language needs sentences of others"
        )
    recorded = record(
        model,
        corpus,
        site=site,
        pooling=all_poolings(pooling, also_pooling),
        tokenizer=tokenizer,
        reading=reading.changed(options),
        directory=directory,
    )
    return score_recording(recorded, pooling=pooling, negative_only=negative_only)


def score_recording(
    recording: Recording, *, pooling: Pooling = "max", negative_only: Sequence[str] = ()
) -> NeuronScores:
    """Score what was recorded, one hook point at a time, so that memory holds one layer.

    Neurons are scored by one pooling; of every other that was recorded the moments are kept. Each
    language is held against all others and, where others share its script, against those alone
    (``NeuronScores.scripts``): two sorts of a layer, whatever the number of languages and scripts.

    Raises:
        MechsteerError: an unknown language, or what cannot be scored; the layer is named.
    """
    unknown = set(negative_only) - set(recording.languages)
    if unknown:
        raise MechsteerError(f"negative-only languages {sorted(unknown)} are not in the corpus")
    beside = [how for how in recording.pooling if how != pooling]
    whole = _Columns(everyone(recording), negative_only, tables_of(pooling, beside))
    groups = {
        script: _Columns(own, negative_only, tables_of(pooling, ()))
        for script, own in by_script(recording).items()
    }
    groups = {script: own for script, own in groups.items() if own.targets}
    parts = [own for own in groups.values() if own.count < whole.count]
    for point in progress(recording.site.points, "scoring", "layer"):
        with naming(point), compiling():
            for columns in (whole, *parts):
                columns.add(recording, point)
    scores = whole.scores(recording, pooling)
    scripts = {
        script: own.scores(recording, pooling) if own in parts else scores
        for script, own in groups.items()
    }
    return replace(scores, scripts=scripts)


class _Columns:
    """Scores of some languages, told apart from each other only, hook point by hook point."""

    def __init__(
        self,
        languages: Among,
        negative_only: Sequence[str],
        wanted: Mapping[Pooling, Mapping[str, str]],
    ) -> None:
        names = languages.languages
        self._among, self._wanted = languages, wanted
        self.targets = [i for i, name in enumerate(names) if name not in negative_only]
        self.count = len(languages.rows)
        self._tables: dict[str, list[Tensor]] = {}

    def add(self, recording: Recording, point: HookSite) -> None:
        """Score the next hook point."""
        for how, names in self._wanted.items():
            x = self._among.pick(recording.activations(point, pooling=how))
            scores = score_columns(x, self._among.labels)
            for column, name in names.items():
                self._tables.setdefault(column, []).append(
                    getattr(scores, name)[self.targets].cpu()
                )

    def scores(self, recording: Recording, pooling: Pooling) -> NeuronScores:
        """What was gathered."""
        names = self._among.languages
        counts = torch.bincount(self._among.labels, minlength=len(names)).tolist()
        return NeuronScores(
            languages=tuple(names[i] for i in self.targets),
            site=recording.site,
            pooling=pooling,
            counts=tuple(counts[i] for i in self.targets),
            n_sentences=self.count,
            model=recording.model,
            **together({name: torch.cat(parts, dim=1) for name, parts in self._tables.items()}),
        )


def all_poolings(pooling: Pooling, also: Pooling | Sequence[Pooling]) -> tuple[Pooling, ...]:
    """The scored pooling, then the others, each once."""
    return tuple(dict.fromkeys((pooling, *((also,) if isinstance(also, str) else also))))
