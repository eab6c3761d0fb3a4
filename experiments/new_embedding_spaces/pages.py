"""The tables as a person reads them: Markdown, the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from experiments.new_embedding_spaces import published
from experiments.new_embedding_spaces.studied import PLAIN
from experiments.new_embedding_spaces.tables import over_targets, paper_place
from mechsteer.reporting.words import signed
from mechsteer.studies.conditions import Condition
from mechsteer.studies.places import Place, ordered

METRICS = {"retrieval_top1": "top-1", "retrieval_margin": "margin top-1", "mexa": "MEXA"}


def distance_table(ours: pd.DataFrame, place: Place) -> str:
    """Markdown of Table 1, the paper's three models beside."""
    heads = [f"distance ({_words(place)})", "here", *published.MODELS.values()]
    rows = [
        [row.row, f"{row.before:.2f}±{row.before_sem:.2f} → {row.after:.2f}±{row.after_sem:.2f}"]
        + [_arrow(published.DISTANCES[model][row.row]) for model in published.MODELS]
        for row in ours.itertuples()
    ]
    return markdown(heads, rows)


def effect_table(table: pd.DataFrame, pairs: str) -> str:
    """Markdown: a row an edit, change from no edit at each place by every metric."""
    places = ordered(table.loc[table["pairs"] == pairs, "place"])
    means = over_targets(table[table["pairs"] == pairs]).set_index(["edit", "place", "metric"])
    heads = [
        "state",
        *(f"{name}, {_words(place)}" for place in places for name in METRICS.values()),
    ]
    rows = []
    for edit in dict.fromkeys(table["edit"]):
        cells = [str(edit)]
        for place in places:
            for metric in METRICS:
                cells.append(_effect(means, str(edit), place, metric))
        rows.append(cells)
    return markdown(heads, rows)


def _effect(means: pd.DataFrame, edit: str, place: str, metric: str) -> str:
    value = f"{100 * means.loc[(edit, place, metric), 'value']:.1f}"
    if (edit, place, f"{metric}.delta") not in means.index:
        return value
    delta = means.loc[(edit, place, f"{metric}.delta")]
    return f"{value} ({signed(delta.value)} [{signed(delta.ci_low)}, {signed(delta.ci_high)}])"


def baseline_table(baselines: pd.DataFrame) -> str:
    """Markdown: a row a baseline, all pairs, change from none at each place."""
    places = ordered(baselines["place"])
    all_pairs = baselines[baselines["pairs"] == "all"]
    columns = ["value", "delta", "delta_low", "delta_high"]
    means = all_pairs.groupby(["edit", "place", "metric"], sort=False)[columns].mean()
    metrics = {"top1": "top-1", "margin": "margin top-1", "mexa": "MEXA"}
    heads = ["baseline", *(f"{name}, {_words(p)}" for p in places for name in metrics.values())]
    rows = []
    for edit in dict.fromkeys(all_pairs["edit"]):
        found = [means.loc[(edit, place, metric)] for place in places for metric in metrics]
        rows.append([str(edit), *(_change(row, plain=edit == "none") for row in found)])
    return markdown(heads, rows)


def _change(row: pd.Series, *, plain: bool) -> str:
    value = f"{100 * row.value:.1f}"
    ends = f"[{signed(row.delta_low)}, {signed(row.delta_high)}]"
    return value if plain else f"{value} ({signed(row.delta)} {ends})"


def quality_table(results: pd.DataFrame, layers: Mapping[Place, int], names: Sequence[str]) -> str:
    """Markdown: what the space is like, of the base, centring and the clamp (mean over targets)."""
    heads = ["quality", *(f"{e}, {_words(p)}" for p in layers for e in ("none", "centring", PLAIN))]
    all_pairs = results[(results["source"] == "*") & (results["target"] == "*")]
    means = all_pairs.groupby(["metric", "layer", "edit"])["value"].mean()
    rows = [
        [name]
        + [
            _number(means.get((name, layer, edit)))
            for layer in layers.values()
            for edit in ("none", "centring", PLAIN)
        ]
        for name in names
        if name in means.index.get_level_values("metric")
    ]
    return markdown(heads, rows)


def sweep_table(table: pd.DataFrame, chosen: Condition) -> str:
    """Markdown of the choice of k, the chosen one marked."""
    places = ordered(table.columns)
    heads = ["k", "of all neurons", *(f"top-1, {_words(place)}" for place in places)]
    heads += ["bits per byte", "language"] if "language" in table else []
    rows = [
        [
            f"**{row.k}**" if row.k == chosen.k else f"{row.k}",
            f"{100 * row.share:.2f} %",
            *(f"{100 * getattr(row, place):.1f}" for place in places),
            *(
                [f"{row.bits_per_byte:.3f}", f"{100 * row.language:.1f} %"]
                if "language" in table
                else []
            ),
        ]
        for row in table.itertuples()
    ]
    return markdown(heads, rows)


def english_table(pairs: pd.DataFrame) -> str:
    """Markdown of Table 7: the target against English where the paper reads, before and after."""
    place = paper_place(pairs["place"])
    at = pairs[(pairs["place"] == place) & (pairs["query"] == "language")]
    heads = [
        f"pair ({_words(place)})",
        "none → clamp",
        "random",
        "centring",
        "margin alone",
        "best layer alone",
    ]
    heads += list(published.MODELS.values())
    rows = []
    for (benchmark, language), rows_ in at.groupby(["benchmark", "language"], sort=False):
        top1 = rows_[rows_["metric"] == "top-1"].groupby("edit")["value"].mean()
        margin = rows_[(rows_["metric"] == "margin") & (rows_["edit"] == "none")]["value"]
        best = pairs[(pairs["benchmark"] == benchmark) & (pairs["language"] == language)]
        best = best[(best["place"] == "best_layer") & (best["query"] == "language")]
        best = best[(best["edit"] == "none") & (best["metric"] == "top-1")]["value"]
        known = published.TATOEBA if benchmark == "Tatoeba" else published.BUCC
        rows.append(
            [
                f"{benchmark}, {language}",
                _arrow((top1["none"], top1[PLAIN]), 3),
                *(f"{value:.3f}" for value in (top1["random"], top1["centring"])),
                *(f"{value:.3f}" for value in (margin.iloc[0], best.iloc[0])),
                *(_arrow(known[model].get(str(language)), 3) for model in published.MODELS),
            ]
        )
    return markdown(heads, rows)


def within_table(within: pd.DataFrame) -> str:
    """Markdown of Tables 3, 5 and 6: paraphrases within a language, where the paper reads."""
    place = paper_place(within["place"])
    at = within[within["place"] == place]
    heads = [
        f"language ({_words(place)})",
        "none / clamp / mixed",
        "random: edited / mixed",
        *published.MODELS.values(),
    ]
    rows = []
    for language, rows_ in at.groupby("language", sort=False):
        means = rows_.groupby(["edit", "query"])["value"].mean()
        ours = (means[("none", "same")], means[(PLAIN, "same")], means[(PLAIN, "mixed")])
        random = (means[("random", "same")], means[("random", "mixed")])
        paper = [_slashes(published.WITHIN[m].get(str(language))) for m in published.MODELS]
        rows.append([str(language), _slashes(ours), _slashes(random), *paper])
    return markdown(heads, rows)


def correlation_table(table: pd.DataFrame) -> str:
    """Markdown of Table 2: ours with intervals, the paper's range over models beside."""
    languages = list(dict.fromkeys(table["language"]))
    heads = ["r over candidate languages", *languages, "paper (three models)"]
    rows = []
    for pair, rows_ in table.groupby("pair", sort=False):
        cells = rows_.set_index("language")
        values = [v for m in published.CORRELATIONS.values() for v in m[str(pair)].values()]
        known = [value for value in values if value is not None]
        rows.append(
            [
                str(pair),
                *(_r(cells.loc[language]) for language in languages),
                f"{min(known):.2f} to {max(known):.2f}",
            ]
        )
    return markdown(heads, rows)


def _words(place: Place) -> str:
    return place.replace("_", " ")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _r(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return "–"
    return f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


def _arrow(values: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if values is None else f"{values[0]:.{digits}f} → {values[1]:.{digits}f}"


def _slashes(values: Sequence[float] | None) -> str:
    return "" if values is None else " / ".join(f"{value:.2f}" for value in values)
