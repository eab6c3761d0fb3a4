"""What is fitted on FLORES dev: scores of every neuron, and the embeddings of the base."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from experiments.new_embedding_spaces.settings import DATA, Settings
from mechsteer.cli.do.models import open_model
from mechsteer.corpus import ParallelCorpus
from mechsteer.errors import CorpusError
from mechsteer.experts.score import all_poolings, score_recording
from mechsteer.experts.scores import NeuronScores
from mechsteer.recording import record
from mechsteer.studies.protocol import Scored


@dataclass(frozen=True)
class Fitted:
    """A model with its dev and test text; everything heavy is made when first asked for."""

    settings: Settings
    work: Path

    @cached_property
    def model(self) -> Any:
        """The model under study."""
        return open_model(self.settings.model, self.settings.device, self.settings.dtype)

    @cached_property
    def dev(self) -> ParallelCorpus:
        """FLORES dev in the evaluated languages."""
        return flores("dev", self.settings.languages, self.settings.scored)

    @cached_property
    def test(self) -> ParallelCorpus:
        """FLORES devtest in the evaluated languages."""
        return flores("devtest", self.settings.languages, self.settings.tested)

    def scores(self, site: str) -> NeuronScores:
        """Of the targets, each against the other targets and the negatives.

        The paper's section 3.1: the positives are the target's dev sentences, the negatives those
        of the other four languages and Chinese.
        """
        languages = tuple(dict.fromkeys((*self.settings.targets, *self.settings.negatives)))
        recording = record(
            self.model,
            flores("dev", languages, self.settings.scored),
            site=site,
            pooling=all_poolings(*self.settings.poolings),  # type: ignore[arg-type]
            directory=self.work / f"recording-{site}",
            **asdict(self.settings.reading),
        )
        return score_recording(
            recording,
            pooling=self.settings.pooling,  # type: ignore[arg-type]
            negative_only=self.settings.negatives,
        )

    @cached_property
    def main_scores(self) -> NeuronScores:
        """At the site of the settings."""
        return self.scores(self.settings.site)

    @cached_property
    def embeddings(self) -> dict[str, Tensor]:
        """The untouched model on all of dev: means, directions and maps are fitted on them."""
        return self._embed(self.dev, "embeddings")

    @cached_property
    def test_embeddings(self) -> dict[str, Tensor]:
        """The untouched model on devtest, for what is applied to embeddings after the model."""
        return self._embed(self.test, "test-embeddings")

    def _embed(self, corpus: ParallelCorpus, folder: str) -> dict[str, Tensor]:
        recording = record(
            self.model,
            corpus,
            layers=(),
            embeddings=True,
            directory=self.work / folder,
            **asdict(self.settings.reading),
        )
        return recording.embeddings_by_language()

    @property
    def scored(self) -> Scored:
        """Both, as a study takes them."""
        return Scored(self.main_scores, self.embeddings)


def flores(split: str, languages: tuple[str, ...], n: int | None = None) -> ParallelCorpus:
    """FLORES-200 in some languages; the first n sentences where not all are wanted.

    Raises:
        CorpusError: the reference data is not there.
    """
    folder = DATA / "flores200" / split
    if not folder.is_dir():
        raise CorpusError(
            f"no FLORES-200 in {folder}: set MECHSTEER_DATA to the folder that holds flores200/"
        )
    corpus = ParallelCorpus.from_dir(folder, languages=languages, split=split)
    return corpus if n is None else corpus.head(n)
