"""The protocol of a study, without a model: what is tried on dev, chosen there, measured on test.

Models come in as two functions (``ModelFunctions``), scores and the untouched model's embeddings of
dev as they are; the rest is arithmetic and bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.analysis.held import mapped
from mechsteer.artifacts.files import content_hash
from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.corpus.overlap import require_held_out, warn_of_overlap
from mechsteer.errors import CorpusError
from mechsteer.experts.scores import NeuronScores
from mechsteer.progress import progress
from mechsteer.ranks import current
from mechsteer.recording import Reading
from mechsteer.recording.reading import USUAL_TOKENS
from mechsteer.studies.baselines import Apply, Baselines
from mechsteer.studies.conditions import BASE, CENTRING, Condition
from mechsteer.studies.detail_tables import (
    expert_overlap,
    experts_per_layer,
    hubness_table,
    projection_table,
)
from mechsteer.studies.doses import best_layer, cost_table, dose_table, explore, spread
from mechsteer.studies.edit_factory import EditFactory
from mechsteer.studies.findings import Study
from mechsteer.studies.options import StudyOptions
from mechsteer.studies.places import final_norm_of, places
from mechsteer.studies.projection import Projection
from mechsteer.studies.runner import Measured, ModelFunctions, Runner
from mechsteer.studies.shared import measure_ahead
from mechsteer.studies.tables import tabulate


@dataclass(frozen=True)
class Scored:
    """What one pass over the dev corpus gives: scores, and the untouched model's embeddings.

    ``batch_tokens`` is what the pass chose, for all later ones to keep to.
    """

    scores: NeuronScores
    dev_embeddings: LayerEmbeddings
    batch_tokens: int = USUAL_TOKENS


@dataclass(frozen=True)
class Inputs:
    """What a study is about.

    Attributes:
        model: how conditions are run.
        scored: of the dev corpus.
        dev: parallel text for every choice.
        test: parallel text for the reported numbers.
        factory: the edits studied.
        reading: how sentences are read.
        text: held-out text in the targets' languages, for the cost of every dose.
        folder: where measurements are kept; None keeps everything in memory.
    """

    model: ModelFunctions
    scored: Scored
    dev: ParallelCorpus
    test: ParallelCorpus
    factory: EditFactory
    reading: Reading
    text: LabelledCorpus | None = None
    folder: Path | None = None

    def runner(
        self, corpus: ParallelCorpus, name: str, projection: Projection | None = None
    ) -> Runner:
        """What measures conditions on one corpus, in a folder of that name."""
        return Runner(
            self.model,
            corpus,
            self.factory,
            self.reading,
            folder=self.folder and self.folder / name,
            projection=projection,
            fitted_on=self.dev.fingerprint,
        )

    @property
    def scores(self) -> NeuronScores:
        """Of the dev corpus."""
        return self.scored.scores


def run(inputs: Inputs, options: StudyOptions) -> Study:
    """Try every dose on dev, choose there, measure on test beside the controls, tabulate.

    Raises:
        CorpusError: the two corpora do not fit, or too few sentences to tune on.
        MechsteerError: a target that was not scored, or what the metrics refuse.
    """
    named = map(inputs.scores.name_of, options.targets)
    targets = tuple(dict.fromkeys(named)) or inputs.scores.languages
    _require_fit(inputs, targets)
    require_held_out(inputs.dev, inputs.test, allow=options.allow_overlap)
    warn_of_overlap(inputs.dev, inputs.test)
    rows = spread(inputs.dev.n_sentences, options.tune)
    tuner = inputs.runner(inputs.dev.rows(rows), "dev")
    doses = Measured(tuner)
    doses.add(BASE, lambda: _at(inputs.scored.dev_embeddings, rows))
    best, n_layers = best_layer(doses[BASE]), len(doses[BASE].top1) - 2
    final = final_norm_of(inputs.scored.dev_embeddings)
    read_at = places(best, n_layers, final)
    row = read_at.get(options.choose_at, n_layers)
    tried, chosen = explore(doses, inputs.factory, targets, options, row)
    text = inputs.text
    costs = [cost_table(tuner, tried, text, best, targets=targets)] if text is not None else []
    dev = inputs.scored.dev_embeddings
    projection = Projection.fit(dev, best)
    runner = inputs.runner(inputs.test, "test", projection)
    baselines = Baselines.fit(dev) if options.controls else Baselines()
    probed = dict.fromkeys((BASE, CENTRING, *chosen), read_at.values()) if options.quality else {}
    measured = _measured(
        runner,
        chosen if options.only_chosen else tried,
        controls=[inputs.factory.control(c, seed) for c in chosen if c.k for seed in options.seeds],
        baselines=baselines.apply,
        probed=probed,
    )

    def found() -> Study:
        at = read_at.values()
        results = tabulate(measured, inputs.test.languages, targets=targets, pairs_at=at)
        return Study(
            **_tables(inputs, options, measured, chosen, projection),
            results=baselines.joined(results),
            doses=pd.concat([dose_table(doses, {*at}), *costs], ignore_index=True),
            best_layer=best,
            chosen=tuple(chosen),
            n_layers=n_layers,
            final_norm=final,
            n_sentences=inputs.test.n_sentences,
            provenance=_provenance(inputs),
        )

    return current().from_first("the tables", found)


def _measured(
    runner: Runner,
    edited: Sequence[Condition],
    *,
    controls: Sequence[Condition],
    baselines: Mapping[Condition, Apply],
    probed: Mapping[Condition, Collection[int]],
) -> Measured:
    """Base, edits and controls on the test corpus; no control without baselines."""
    measured, untouched = Measured(runner), cache(runner.embeddings)
    derived = {known: partial(_applied, untouched, apply) for known, apply in baselines.items()}
    conditions = [*edited, *(controls if baselines else ())]
    measure_ahead(runner, [BASE, *conditions], probed=probed, derived=derived)
    measured.add(BASE, untouched, probed=probed.get(BASE, ()))
    for condition, embed in derived.items():
        measured.add(condition, embed, probed=probed.get(condition, ()))
    untouched.cache_clear()
    for condition in progress(conditions, "steering and measuring", "condition"):
        measured.add(condition, probed=probed.get(condition, ()))
    return measured


def _applied(untouched: Callable[[], LayerEmbeddings], apply: Apply) -> LayerEmbeddings:
    return apply(untouched())


def _at(embeddings: LayerEmbeddings, rows: Sequence[int]) -> LayerEmbeddings:
    return mapped(embeddings, lambda _, x: x[:, list(rows)])


def _tables(
    inputs: Inputs,
    options: StudyOptions,
    measured: Measured,
    chosen: Sequence[Condition],
    projection: Projection,
) -> dict[str, pd.DataFrame]:
    """All tables but those of results and doses."""
    scores, languages, best = inputs.scores, inputs.test.languages, projection.layer
    shown = [condition for condition in (BASE, *chosen, CENTRING) if condition in measured]
    k = next((condition.k for condition in chosen if condition.k), options.ks[0])
    return {
        "experts": _experts(inputs.factory, chosen),
        "counts": experts_per_layer(scores, k, options),
        "overlap": expert_overlap(scores, k, options),
        "projection": projection_table(measured, shown, languages, projection),
        "hubness": hubness_table(measured, best),
    }


def _experts(factory: EditFactory, chosen: Sequence[Condition]) -> pd.DataFrame:
    """Tables of all conditions that have experts; with none of them no rows."""
    found = [factory.table(condition) for condition in chosen if condition.k]
    none = factory.scores.top(factory.scores.languages[0], 0).table()
    return pd.concat(found or [none.assign(value=[], prevalence=[])], ignore_index=True)


def _provenance(inputs: Inputs) -> dict[str, Any]:
    model = inputs.scores.model
    corpora = {"dev": inputs.dev, "test": inputs.test}
    found: dict[str, Any] = {"model": asdict(model) if model else {"name": "unnamed"}} | {
        split: {"name": corpus.name, "fingerprint": corpus.fingerprint}
        for split, corpus in corpora.items()
    }
    # by these, studies of other languages can tell that they read the same sentences
    each = {code: content_hash([*texts])[:16] for code, texts in inputs.test.sentences.items()}
    return found | {"test": found["test"] | {"languages": each}}


def _require_fit(inputs: Inputs, targets: Sequence[str]) -> None:
    dev, test = inputs.dev, inputs.test
    foreign = [code for code in (*test.languages, *targets) if code not in dev.languages]
    foreign += [target for target in targets if target not in test.languages]
    if foreign:
        raise CorpusError(
            f"languages {sorted(set(foreign))} are not in both corpora: score them on dev too "
            "(centring is fitted there), or leave them out"
        )
