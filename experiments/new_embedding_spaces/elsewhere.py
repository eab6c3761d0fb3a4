"""The chosen clamp on other text than FLORES: English pairs, and paraphrases in one language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import pandas as pd
from torch import Tensor

import mechsteer as ms
from experiments.new_embedding_spaces.fit import Fitted
from experiments.new_embedding_spaces.pairs import english_pairs, paraphrases
from mechsteer.analysis import centre, language_means, retrieval, top1_hits
from mechsteer.analysis.statistics import bootstrap_mean
from mechsteer.corpus import ParallelCorpus
from mechsteer.interventions import Edit
from mechsteer.progress import progress
from mechsteer.studies.bench import Maker
from mechsteer.studies.protocol import Study

PARAPHRASED = 500  # sentences of the within-language check


class Elsewhere:
    """The states of a finished study, on text it has not seen."""

    def __init__(self, fitted: Fitted, found: Study, maker: Maker) -> None:
        self.fitted = fitted
        self.maker = maker
        self.layers = {"best": found.best_layer, "last": found.n_layers}
        self.chosen = {state.language: state for state in found.chosen}

    @cached_property
    def means(self) -> dict[str, Tensor]:
        """Of the languages on dev, for centring."""
        return language_means(self.fitted.embeddings)

    def states(self, language: str) -> Iterator[tuple[str, int, tuple[Edit, ...]]]:
        """Name, seed and edits: the model as it is, clamped, and with random neurons clamped."""
        chosen = self.chosen[language]
        yield "none", -1, ()
        yield chosen.edit, -1, (self.maker.edit(chosen),)
        for seed in range(self.fitted.settings.seeds):
            yield "random", seed, (self.maker.edit(self.maker.control(chosen, seed)),)

    def embed(self, corpus: ParallelCorpus, edits: tuple[Edit, ...]) -> dict[str, Tensor]:
        """Embeddings of a corpus under edits."""
        with ms.steer(self.fitted.model, *edits):
            reading = asdict(self.fitted.settings.reading)
            return ms.embed(self.fitted.model, corpus, progress=False, **reading)

    def on_pairs(self) -> pd.DataFrame:
        """Retrieval between each target and English, both ways, by cosine and by margin."""
        rows: list[dict[str, Any]] = []
        for language in progress([*self.chosen], "English pairs", "language"):
            for benchmark, pair in english_pairs(language, self.fitted.settings.pairs):
                head = {"benchmark": benchmark, "language": language}
                for edit, seed, edits in self.states(language):
                    x = self.embed(pair, edits)
                    rows += [head | {"edit": edit, "seed": seed} | row for row in self._hits(x)]
                    if edit == "none":
                        centred = self._hits(centre(x, self.means))
                        rows += [head | {"edit": "centring", "seed": seed} | r for r in centred]
        return pd.DataFrame(rows)

    def _hits(self, embeddings: Mapping[str, Tensor]) -> Iterator[dict[str, Any]]:
        for place, layer in self.layers.items():
            hits = retrieval({code: x[layer] for code, x in embeddings.items()})
            for metric, found in (("top-1", hits.top1), ("margin", hits.margin)):
                for query, values in (("language", found[0, 1]), ("English", found[1, 0])):
                    where = {"place": place, "query": query, "metric": metric}
                    yield where | interval(values)

    def within_languages(self) -> pd.DataFrame:
        """Paraphrases found in one language: both original, both edited, only candidates edited."""
        rows: list[dict[str, Any]] = []
        for language in progress([*self.chosen], "within languages", "language"):
            name, *sides = paraphrases(language, PARAPHRASED, self.fitted.test)
            corpora = [ParallelCorpus({language: side}) for side in sides]
            plain: list[Tensor] = []
            for edit, seed, edits in self.states(language):
                moved = [self.embed(corpus, edits)[language] for corpus in corpora]
                plain = plain or moved
                for place, layer in self.layers.items():
                    head = {"pairs": name, "language": language, "edit": edit, "seed": seed}
                    head["place"] = place
                    for condition, x in (("same", moved[0]), ("mixed", plain[0])):
                        hits = top1_hits(x[layer], moved[1][layer])[0]
                        rows.append(head | {"query": condition} | interval(hits))
        return pd.DataFrame(rows)


def interval(hits: Tensor) -> dict[str, Any]:
    """Mean over sentences with its bootstrap interval, as columns of a row."""
    found = bootstrap_mean(hits[:, None])
    ends = {"ci_low": found.mean_low, "ci_high": found.mean_high}
    return {"value": found.mean} | ends | {"n": len(hits)}
