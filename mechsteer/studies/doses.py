"""How much is enough: every k and strength on dev, and the choice among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count, product
from typing import Any, TypeAlias

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from mechsteer.analysis.retrieval import by_pair
from mechsteer.analysis.statistics import bootstrap_mean
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.progress import progress
from mechsteer.studies.conditions import BASE, Condition
from mechsteer.studies.edit_factory import EditFactory
from mechsteer.studies.grids import GROWTHS, grown
from mechsteer.studies.measurements import Measurements
from mechsteer.studies.options import StudyOptions
from mechsteer.studies.runner import Measured, Runner
from mechsteer.studies.shared import measure_ahead, predict_ahead

Dose: TypeAlias = tuple[int, int | float]
_Grid: TypeAlias = tuple[list[int | float], list[int | float]]  # ks and strengths


def spread(n: int, tune: int | None) -> list[int]:
    """Rows of dev to try doses on: from all of its documents, in their order.

    Raises:
        CorpusError: fewer than two rows, or more than there are.
    """
    if tune is not None and not 2 <= tune <= n:
        raise CorpusError(f"expected to tune on 2 to {n} sentences of dev, got {tune}")
    wanted = n if tune is None else tune
    return [row * n // wanted for row in range(wanted)]


def dose_of(condition: Condition) -> Dose:
    """K and strength, 0 for an edit without experts."""
    return condition.k or 0, condition.strength or 0.0


def try_doses(measured: Measured, tried: Sequence[Condition]) -> None:
    """Measure every dose on dev, once; nothing of an edit that has but one."""
    doses: dict[str | None, set[Dose]] = {}
    for condition in tried:
        doses.setdefault(condition.edit, set()).add(dose_of(condition))
    several = [condition for condition in tried if len(doses[condition.edit]) > 1]
    new = [condition for condition in several if condition not in measured]
    measure_ahead(measured.runner, new)
    for condition in progress(new, "choosing the dose on dev", "condition"):
        measured.add(condition)


def explore(
    measured: Measured,
    factory: EditFactory,
    targets: Sequence[str],
    options: StudyOptions,
    row: int,
) -> tuple[list[Condition], list[Condition]]:
    """Measure the grid of doses on dev, wider where ``options.grow`` asks for it.

    Returns:
        All conditions tried, and those at the best dose of each edit (``choose`` at ``row``).
    """
    n_neurons = factory.scores.site.n_neurons
    ks: list[int | float] = [factory.scores.resolve_k(k) for k in options.ks]
    grid: _Grid = list(dict.fromkeys(ks)), list(options.strengths)
    for growth in count():
        tried = list(factory.conditions(targets, *grid))
        try_doses(measured, tried)
        chosen = choose(measured, tried, row)
        wider = _wider(grid, chosen, n_neurons)
        if not options.grow or growth == GROWTHS or wider == grid:
            break
        grid = wider
    return tried, chosen


def _wider(grid: _Grid, chosen: Sequence[Condition], n_neurons: int) -> _Grid:
    """With one value more wherever a chosen dose stands at an edge."""
    ks, strengths = grid
    for condition in chosen:
        if condition.k:
            ks = grown(ks, condition.k, least=1, most=n_neurons)
        if condition.strength is not None:
            strengths = grown(strengths, condition.strength)
    same = (len(ks), len(strengths)) == (len(grid[0]), len(grid[1]))
    return grid if same else (ks, strengths)


def choose(
    measured: Mapping[Condition, Measurements], tried: Sequence[Condition], layer: int
) -> list[Condition]:
    """Of each edit the conditions at the dose with the best retrieval on dev, over its languages.

    Equal doses: the smaller k, then the smaller strength.
    """
    found: dict[tuple[str | None, Dose], int] = {}
    for condition in tried:
        key = condition.edit, dose_of(condition)
        hits = int(measured[condition].top1[layer].sum()) if condition in measured else 0
        found[key] = found.get(key, 0) + hits
    best: dict[str | None, Dose] = {}
    for edit, dose in sorted(found, key=lambda key: (-found[key], key[1])):
        best.setdefault(edit, dose)
    return [condition for condition in tried if dose_of(condition) == best[condition.edit]]


def mean_top1(measured: Measurements) -> Float[Tensor, " layer"]:
    """Mean over all ordered pairs and sentences; pairs of a language with itself never hit."""
    n_layers, n_languages, _, n_sentences = measured.top1.shape
    hits = measured.top1.reshape(n_layers, -1).sum(1)
    mean: Tensor = hits.double() / (n_languages * (n_languages - 1) * n_sentences)
    return mean


def best_layer(base: Measurements) -> int:
    """The block whose output retrieves best in the base, the first of equals, as a row.

    Neither the embedding (row 0), which comes before every neuron and no edit reaches, nor the
    final norm (the last row), which is no layer and has a name of its own.
    """
    return 1 + int(mean_top1(base)[1:-1].argmax())


def cost_table(
    runner: Runner,
    tried: Sequence[Condition],
    text: LabelledCorpus,
    layer: int,
    *,
    targets: Sequence[str],
) -> pd.DataFrame:
    """Bits per byte of the text in each steered language, without an edit and under every dose.

    Columns as in `dose_table`, without intervals; n counts the texts. The base has a row a
    language, and so has an edit that is the same for all.

    Raises:
        MechsteerError: the text lacks a steered language.
    """
    if missing := [code for code in targets if code not in text.languages]:
        raise MechsteerError(f"the text lacks {', '.join(missing)}, which the study steers to")
    pairs = [
        (condition, code)
        for condition in (BASE, *tried)
        for code in ([condition.language] if condition.language else targets)
    ]
    predict_ahead(runner, pairs, text.sentences)
    rows = []
    for condition, language in progress(pairs, "predicting text", "condition"):
        texts = text.sentences[language]
        value = runner.bits_per_byte(condition, language, texts)
        named = _named(condition) | {"language": language, "layer": layer}
        ends = {"value": value, "ci_low": float("nan"), "ci_high": float("nan"), "n": len(texts)}
        rows.append(named | {"metric": "bits_per_byte"} | ends)
    return pd.DataFrame(rows)


def dose_table(
    measured: Mapping[Condition, Measurements], layers: Collection[int], *, seed: int = 0
) -> pd.DataFrame:
    """What each k and strength gives at some layers: means over all ordered pairs, with intervals.

    Columns kind, edit, language, k, strength, layer, metric, value, ci_low, ci_high, n: one row a
    condition, layer and metric. Intervals are 95 % percentile bootstraps over sentence ids.
    """
    rows = []
    for condition, own in measured.items():
        shown = {"retrieval_top1": own.top1, "mexa": own.mexa}
        for layer, (metric, hits) in product(sorted(layers), shown.items()):
            found = bootstrap_mean(by_pair(hits[layer]), seed=seed)
            ends = {"value": found.mean, "ci_low": found.mean_low, "ci_high": found.mean_high}
            where = {"layer": layer, "metric": metric}
            rows.append(_named(condition) | where | ends | {"n": hits.shape[-1]})
    return pd.DataFrame(rows)


def _named(condition: Condition) -> dict[str, Any]:
    """The cells of a condition that is no control."""
    return {name: cell for name, cell in condition.columns().items() if name != "seed"}
