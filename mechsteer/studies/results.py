"""The tidy results table and how to read it: one row an observation, whatever made it.

The columns ``kind``, ``edit``, ``language``, ``k``, ``strength`` and ``seed`` name the condition
(``mechsteer.studies.conditions``); none of their cells is ever missing.
"""

from __future__ import annotations

import pandas as pd

from mechsteer.errors import MechsteerError
from mechsteer.studies import conditions
from mechsteer.studies.conditions import Arm, in_order

COLUMNS = (
    *conditions.COLUMNS,
    *("layer", "source", "target", "metric", "value", "ci_low", "ci_high", "n"),
)
NO_EDIT = Arm("base")


def arms_of(table: pd.DataFrame) -> list[Arm]:
    """What a table compares: the base first, then clamping and other edits, controls last."""
    pairs = table[["kind", "edit"]].drop_duplicates()
    return in_order(Arm(kind, edit) for kind, edit in pairs.itertuples(index=False, name=None))


def of_arm(table: pd.DataFrame, arm: Arm) -> pd.Series[bool]:
    """Which rows are of an arm."""
    return (table["kind"] == arm.kind) & (table["edit"] == arm.edit)


def chance(metric: str, n_sentences: int) -> float | None:
    """Value of a metric for embeddings without meaning; None where it has no such level.

    Of n candidates one is right (1/n); MEXA asks to beat all 2n-1 entries of a row and a column.

    >>> chance("retrieval_top1", 50), chance("mexa", 3), chance("distance_pairs", 50)
    (0.02, 0.2, None)
    """
    found = 1 / n_sentences
    levels = {"retrieval_top1": found, "retrieval_margin": found, "mexa": 1 / (2 * n_sentences - 1)}
    return levels.get(metric)


def rows_of(results: pd.DataFrame, arm: Arm, *, language: str, metric: str) -> pd.DataFrame:
    """Rows of one arm for one steered language.

    What depends on no steered language (base, centring) carries the language "" and stands in for
    every language that has no row of its own.
    """
    rows = results[of_arm(results, arm) & (results["metric"] == metric)]
    own = rows[rows["language"] == language]
    return own if len(own) else rows[rows["language"] == ""]


def series(
    results: pd.DataFrame,
    arm: Arm,
    *,
    language: str,
    metric: str,
    source: str = "*",
    target: str = "*",
) -> pd.DataFrame:
    """One value a layer with its band: columns layer, value, low, high, seeds.

    Several seeds give their mean, minimum and maximum; a single row its confidence interval.

    Raises:
        MechsteerError: when a layer has several rows of one seed (more than one k or strength).
    """
    rows = rows_of(results, arm, language=language, metric=metric)
    rows = rows[(rows["source"] == source) & (rows["target"] == target)]
    if rows["layer"].is_unique:
        names = {"ci_low": "low", "ci_high": "high"}
        line = rows.rename(columns=names)[["layer", "value", "low", "high"]].sort_values("layer")
        return line.assign(seeds=1).reset_index(drop=True)
    if rows.duplicated(["layer", "seed"]).any():
        raise _doubled(arm, language, metric)
    band = rows.groupby("layer")["value"].agg(["mean", "min", "max", "size"]).reset_index()
    return band.set_axis(["layer", "value", "low", "high", "seeds"], axis=1)


def pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Every series of a table at once: as :func:`series`, a row a condition, metric and pair.

    Returns:
        Columns kind, edit, language, metric, source, target, layer, value, low, high, seeds.

    Raises:
        MechsteerError: as :func:`series`.
    """
    keys = ["kind", "edit", "language", "metric", "source", "target", "layer"]
    if len(twice := rows[rows.duplicated([*keys, "seed"])]):
        raise _doubled(
            Arm(*twice[["kind", "edit"]].iloc[0]), *twice[["language", "metric"]].iloc[0]
        )
    groups = rows.groupby(keys, observed=True, sort=False)
    band = groups["value"].agg(["mean", "min", "max", "size"])
    ends = groups[["ci_low", "ci_high"]].first()
    several = band["size"] > 1
    low = ends["ci_low"].where(~several, band["min"])
    high = ends["ci_high"].where(~several, band["max"])
    found = {"value": band["mean"], "low": low, "high": high, "seeds": band["size"]}
    return pd.DataFrame(found).reset_index()


def _doubled(arm: Arm, language: str, metric: str) -> MechsteerError:
    return MechsteerError(
        f"{' '.join(arm).strip()} of {language} has several values of {metric} in one layer: "
        "filter the results to one k and one strength first"
    )


def each_series(
    results: pd.DataFrame, *, language: str, metric: str, source: str = "*", target: str = "*"
) -> dict[Arm, pd.DataFrame]:
    """:func:`series` of every arm that has rows, in one pass."""
    rows = results[results["metric"] == metric]
    rows = rows[rows["language"].isin([language, ""])]
    found = pooled(rows[(rows["source"] == source) & (rows["target"] == target)])
    lines = {}
    for arm in arms_of(found):
        every = found[of_arm(found, arm)]
        own = every[every["language"] == language]
        line = (own if len(own) else every)[["layer", "value", "low", "high", "seeds"]]
        lines[arm] = line.sort_values("layer").reset_index(drop=True)
    return lines


def matrix(
    results: pd.DataFrame, arm: Arm = NO_EDIT, *, layer: int, language: str = "", metric: str
) -> pd.DataFrame:
    """Metric of each ordered pair at one layer, source by target, in the order of the table."""
    rows = rows_of(results[results["layer"] == layer], arm, language=language, metric=metric)
    rows = rows[(rows["source"] != "*") & (rows["target"] != "*")]
    codes = list(dict.fromkeys([*rows["source"], *rows["target"]]))
    cells = rows.groupby(["source", "target"], observed=True)["value"].mean()
    return cells.unstack().reindex(index=codes, columns=codes)


def distance_rows(results: pd.DataFrame, language: str) -> pd.DataFrame:
    """The three distances for one steered language, each as one mean (``*``, ``*``) a layer.

    To the medoid: the mean over languages. To the target: the mean of the distances of the other
    languages' means to that of ``language``.
    """
    to_medoid = (results["metric"] == "distance_medoid") & (results["source"] != "*")
    to_target = (results["metric"] == "distance_target") & (results["target"] == language)
    keys = [*conditions.COLUMNS, "layer", "metric"]
    rows = results[to_medoid | to_target]
    means = rows.groupby(keys, observed=True, sort=False)["value"].mean().reset_index()
    means = means.assign(source="*", target="*", ci_low=float("nan"), ci_high=float("nan"))
    pooled = results["metric"].str.startswith("distance_") & (results["source"] == "*")
    pooled &= results["target"] == "*"
    return pd.concat([results[pooled], means], ignore_index=True)[[*COLUMNS[:-1]]]
