"""The whole road as one resumable study: score, steer, embed, measure, beside the controls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from mechsteer.analysis.baselines import LayerEmbeddings, Means, centre, language_means
from mechsteer.errors import CorpusError
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import Criterion, NeuronScores
from mechsteer.interventions import clamp
from mechsteer.kernels import Pooling
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import progress
from mechsteer.recording import record
from mechsteer.recording.reading import DEFAULT_READING, Reading
from mechsteer.studies.bench import BASE, CENTRING, Album, Bench, Maker, Studied
from mechsteer.studies.detail import (
    expert_overlap,
    experts_per_layer,
    hubness_table,
    projection_table,
)
from mechsteer.studies.doses import choose, cost_table, dose_table, mean_top1, try_doses
from mechsteer.studies.plane import Plane
from mechsteer.studies.states import State
from mechsteer.studies.tabulate import tabulate

if TYPE_CHECKING:
    from mechsteer.corpus import LabelledCorpus, ParallelCorpus


TABLES = ("results", "experts", "counts", "overlap", "doses", "projection", "hubness")


@dataclass(frozen=True)
class Study:
    """What a study found.

    Attributes:
        results: the tidy table, see ``mechsteer.studies.results``.
        experts: one row an expert of each steered language and edit of experts, at the k that was
            chosen; ``value`` is where its edit moves an activation of 0, ``prevalence`` the chance
            level of AP.
        counts: experts of each scored language in each layer, and how well the layer detects it.
        overlap: experts that each two languages share.
        doses: retrieval on dev at every k and strength, at the best and the last layer; without
            choices of dose the base alone.
        projection: sentences on the base's first two principal components at the best layer:
            untouched, centred, and under every chosen edit.
        hubness: how often sentences are among the 10 nearest of a query, at the best layer.
        best_layer: row of the base model's best layer for retrieval on dev, among those that an
            edit can reach: not the embedding.
        chosen: the states at the k and strength with the best retrieval on dev, one an edit and
            language.
        n_layers: blocks of the model; rows go from 0 (embedding) to ``n_layers + 1`` (final norm).
        n_sentences: parallel sentences of the test corpus.
        provenance: names and fingerprints of the model and the two corpora.
    """

    results: pd.DataFrame
    experts: pd.DataFrame
    counts: pd.DataFrame
    overlap: pd.DataFrame
    doses: pd.DataFrame
    projection: pd.DataFrame
    hubness: pd.DataFrame
    best_layer: int
    chosen: tuple[State, ...]
    n_layers: int
    n_sentences: int
    provenance: Mapping[str, Any]

    def headline(self) -> pd.DataFrame:
        """Means over all ordered pairs at the best and the last layer, one row a state."""
        rows = self.results
        rows = rows[(rows["source"] == "*") & (rows["target"] == "*")]
        rows = rows[rows["layer"].isin([self.best_layer, self.n_layers])]
        rows = rows[rows["metric"].isin(["retrieval_top1", "mexa"])]
        columns = ["edit", "language", "k", "seed", "layer", "metric", "value", "ci_low", "ci_high"]
        return rows[columns]


@dataclass(frozen=True)
class Scored:
    """What one pass over the dev corpus gives: scores, and the untouched model's embeddings."""

    scores: NeuronScores
    dev_embeddings: LayerEmbeddings


def score_for_study(
    model: ModelLike,
    dev: LabelledCorpus,
    *,
    site: str = "post",
    pooling: Pooling = "max",
    negative_only: Sequence[str] = (),
    directory: Path | None = None,
    reading: Reading = DEFAULT_READING,
) -> Scored:
    """Record neurons and layer embeddings of a corpus in one pass, and score the neurons."""
    recording = record(
        model,
        dev,
        site=site,
        pooling=pooling,
        embeddings=True,
        directory=directory,
        reading=reading,
    )
    scores = score_recording(recording, pooling=pooling, negative_only=negative_only)
    return Scored(scores, recording.embeddings_by_language())


def study(
    model: ModelLike,
    *,
    dev: ParallelCorpus,
    test: ParallelCorpus,
    targets: Sequence[str] | None = None,
    edits: Mapping[str, Studied] | None = None,
    ks: Sequence[float] = (100,),
    strengths: Sequence[float] = (1.0,),
    by: Criterion = "ap",
    controls: bool = True,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    site: str = "post",
    pooling: Pooling = "max",
    reading: Reading = DEFAULT_READING,
    scored: Scored | None = None,
    text: LabelledCorpus | None = None,
    tune: int | None = None,
    choose_at: Literal["best", "last"] = "best",
    only_chosen: bool = False,
    quality: bool = False,
    directory: Path | None = None,
) -> Study:
    """Steer a model to each target language and measure what that does, beside the controls.

    Experts, means for centring, the layer, the k and the strength are all taken from ``dev``;
    ``test`` is only measured on. States: the model as it is (``none``); every edit at every k and
    strength; ``centring`` (the language means of dev taken from the embeddings of the untouched
    model); and for each edit at its chosen dose as many ``random`` neurons in the same layers, once
    a seed.

    Args:
        model: a TransformerBridge.
        dev: parallel text for scoring and for every choice.
        test: parallel text for the reported numbers, in languages of ``dev``.
        targets: languages to steer to; all that were scored by default.
        edits: by name; clamping to the median by default. Constructors from experts to an edit;
            ``ByTarget``, constructors from a target language to an edit without experts (DiffMean,
            say); or finished edits, which belong to the one target there is, or to none of several.
        ks: numbers of experts, or fractions of all neurons.
        strengths: λ of the edits, one or several.
        by: ``"ap"`` or ``"auroc"``.
        controls: whether to run the random neurons and centring.
        seeds: one random control each.
        site: where neurons are read and moved.
        pooling: over a sentence's real tokens, for the scores.
        reading: batch size, truncation and the first token, for scoring and embedding alike.
        scored: what ``score_for_study`` made of ``dev``, where it is at hand already.
        text: held-out text in the targets' languages, whose bits per byte under every dose join
            ``doses``: what an edit costs the model itself.
        tune: sentences of ``dev`` on which doses are tried, evenly spread; all by default.
        choose_at: whether the dose is the best at the layer chosen on dev, or at the last one.
        only_chosen: whether to measure on ``test`` each edit at its chosen dose only, which is what
            takes time; all doses by default.
        quality: whether to measure the qualities of the space too (see
            ``mechsteer.studies.quality``), for the base, centring and every chosen edit.
        directory: folder that makes the study resumable; None keeps everything in memory.

    Raises:
        CorpusError: the two corpora do not fit, or a target was not scored.
    """
    model = as_model(model)
    folder = directory or Path()
    scored = scored or score_for_study(
        model,
        dev,
        site=site,
        pooling=pooling,
        reading=reading,
        directory=directory and folder / "recording",
    )
    scores = scored.scores
    targets = tuple(targets or scores.languages)
    _require_fit(dev, test, scores, targets)
    maker = Maker(scores, dict(edits or {"clamp": clamp}), by)
    options = list(maker.options(targets, ks, strengths))

    rows = spread(dev.n_sentences, tune)
    tried = Bench(model, dev.rows(rows), maker, reading, directory and folder / "dev")
    doses = Album(tried)
    doses.add(BASE, lambda: _at(scored.dev_embeddings, rows))
    try_doses(doses, options)
    by_layer = mean_top1(doses[BASE])
    n_layers = len(by_layer) - 2
    best_layer = 1 + int(by_layer[1:].argmax())  # row 0 comes before every neuron
    at = (best_layer, n_layers)
    chosen = choose(doses, options, best_layer if choose_at == "best" else n_layers)
    table = dose_table(doses, {*at})
    if text is not None:
        costs = cost_table(tried, options, text, best_layer, targets=targets)
        table = pd.concat([table, costs], ignore_index=True)

    plane = Plane.fit(scored.dev_embeddings, best_layer)
    measured = _measured(
        Bench(model, test, maker, reading, directory and folder / "test", plane),
        chosen if only_chosen else options,
        controls=[maker.control(state, seed) for state in chosen if state.k for seed in seeds],
        means=language_means(scored.dev_embeddings) if controls else None,
        probed=dict.fromkeys((BASE, CENTRING, *chosen), at) if quality else {},
    )
    on_plane = [state for state in (BASE, *chosen, CENTRING) if state in measured]
    k = next((state.k for state in chosen if state.k), scores.resolve_k(ks[0]))
    return Study(
        results=tabulate(measured, test.languages, targets=targets, pairs_at={*at}),
        experts=_experts(maker, chosen),
        counts=experts_per_layer(scores, k, by=by),
        overlap=expert_overlap(scores, k, by=by),
        doses=table,
        projection=projection_table(measured, on_plane, test.languages, plane),
        hubness=hubness_table(measured, best_layer),
        best_layer=best_layer,
        chosen=tuple(chosen),
        n_layers=n_layers,
        n_sentences=test.n_sentences,
        provenance={
            "model": asdict(scores.model) if scores.model else {"name": "unnamed"},
            "dev": {"name": dev.name, "fingerprint": dev.fingerprint},
            "test": {"name": test.name, "fingerprint": test.fingerprint},
        },
    )


def _measured(
    bench: Bench,
    edited: Sequence[State],
    *,
    controls: Sequence[State],
    means: Means | None,
    probed: Mapping[State, Collection[int]],
) -> Album:
    """Base, edits and controls on the test corpus; no control without the means to centre by."""
    album, untouched = Album(bench), cache(bench.embeddings)
    album.add(BASE, untouched, probed=probed.get(BASE, ()))
    if means is not None:
        centred = partial(_centred, untouched, means)
        album.add(CENTRING, centred, probed=probed.get(CENTRING, ()))
    untouched.cache_clear()
    states = [*edited, *(controls if means is not None else ())]
    for state in progress(states, "steering and measuring", "state"):
        album.add(state, probed=probed.get(state, ()))
    return album


def _centred(untouched: Callable[[], LayerEmbeddings], means: Means) -> LayerEmbeddings:
    return centre(untouched(), means)


def spread(n: int, tune: int | None) -> list[int]:
    """Rows of dev to try doses on: from all of its documents, in their order.

    Raises:
        CorpusError: fewer than two rows, or more than there are.
    """
    if tune is not None and not 2 <= tune <= n:
        raise CorpusError(f"expected to tune on 2 to {n} sentences of dev, got {tune}")
    wanted = n if tune is None else tune
    return [row * n // wanted for row in range(wanted)]


def _at(embeddings: LayerEmbeddings, rows: Sequence[int]) -> LayerEmbeddings:
    return {language: x[:, list(rows)] for language, x in embeddings.items()}


def _experts(maker: Maker, chosen: Sequence[State]) -> pd.DataFrame:
    """Tables of all states that have experts; with none of them no rows."""
    tables = [maker.table(state) for state in chosen if state.k]
    none = maker.scores.top(maker.scores.languages[0], 0).table().assign(value=[], prevalence=[])
    return pd.concat(tables or [none], ignore_index=True)


def _require_fit(
    dev: ParallelCorpus, test: ParallelCorpus, scores: NeuronScores, targets: Sequence[str]
) -> None:
    for target in targets:
        scores.row(target)
    foreign = [code for code in (*test.languages, *targets) if code not in dev.languages]
    foreign += [target for target in targets if target not in test.languages]
    if foreign:
        raise CorpusError(
            f"languages {sorted(set(foreign))} are not in both corpora: score them on dev too "
            "(centring is fitted there), or leave them out"
        )
    if dev.fingerprint == test.fingerprint:
        raise CorpusError("dev and test are the same sentences: experts would be judged by them")
