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
from mechsteer.studies import Study
from mechsteer.studies.conditions import Kind
from mechsteer.studies.edit_factory import EditFactory

PARAPHRASED = 500  # sentences of the within-language check


class Elsewhere:
    """The conditions of a finished study, on text it has not seen."""

    def __init__(self, fitted: Fitted, found: Study, factory: EditFactory) -> None:
        self.fitted = fitted
        self.factory = factory
        self.layers = found.places
        self.chosen = {str(c.language): c for c in found.chosen}

    @cached_property
    def means(self) -> dict[str, Tensor]:
        """Of the languages on dev, for centring."""
        return language_means(self.fitted.embeddings)

    def states(self, language: str) -> Iterator[tuple[Kind, str, int, tuple[Edit, ...]]]:
        """Kind, name, seed and edits: the base, clamped, and with random neurons clamped."""
        chosen = self.chosen[language]
        yield "base", "none", -1, ()
        yield "edit", str(chosen.edit), -1, (self.factory.edit(chosen),)
        for seed in range(self.fitted.settings.seeds):
            yield "random", "random", seed, (self.factory.edit(self.factory.control(chosen, seed)),)

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
                for kind, edit, seed, edits in self.states(language):
                    x = self.embed(pair, edits)
                    named = {"kind": kind, "edit": edit, "seed": seed}
                    rows += [head | named | row for row in self._hits(x)]
                    if kind == "base":
                        centred = self._hits(centre(x, self.means))
                        named |= {"kind": "centring", "edit": "centring"}
                        rows += [head | named | row for row in centred]
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
            for kind, edit, seed, edits in self.states(language):
                moved = [self.embed(corpus, edits)[language] for corpus in corpora]
                plain = plain or moved
                for place, layer in self.layers.items():
                    head = {"pairs": name, "language": language, "kind": kind, "edit": edit}
                    head |= {"seed": seed, "place": place}
                    for condition, x in (("same", moved[0]), ("mixed", plain[0])):
                        hits = top1_hits(x[layer], moved[1][layer])[0]
                        rows.append(head | {"query": condition} | interval(hits))
        return pd.DataFrame(rows)


def interval(hits: Tensor) -> dict[str, Any]:
    """Mean over sentences with its bootstrap interval, as columns of a row."""
    found = bootstrap_mean(hits[:, None])
    ends = {"ci_low": found.mean_low, "ci_high": found.mean_high}
    return {"value": found.mean} | ends | {"n": len(hits)}
