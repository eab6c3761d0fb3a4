"""The tables of the paper and of what goes beyond it, as tidy frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from experiments.new_embedding_spaces.studied import PLAIN
from mechsteer.studies.conditions import FIXED_NAMES
from mechsteer.studies.places import Place, ordered


def paper_place(found: Iterable[Place]) -> Place:
    """Where the paper reads: ``hidden_states[-1]`` is the final norm, or the last block without.

    >>> paper_place(["best_layer", "last_block"])
    'last_block'
    """
    return ordered(found)[-1]


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """A table of a study with a name in every cell of ``edit``, the controls' too."""
    fixed = {**FIXED_NAMES, "random": "random"}
    return table.assign(edit=table["kind"].map(fixed).fillna(table["edit"]))


def distances(results: pd.DataFrame, targets: Sequence[str], layer: int) -> pd.DataFrame:
    """Table 1: the three distances before and after, mean over targets with its standard error.

    Columns row, before, after, and their standard errors before_sem, after_sem.
    """
    parts = [_distances_of(results, target, layer) for target in targets]
    table = pd.concat(parts, ignore_index=True).groupby("row", sort=False)[["before", "after"]]
    sem = table.sem().add_suffix("_sem")
    return table.mean().join(sem).reset_index()


def _distances_of(results: pd.DataFrame, target: str, layer: int) -> pd.DataFrame:
    at = results[(results["layer"] == layer) & (results["seed"] == -1)]
    rows: dict[str, dict[str, float]] = {}
    for when, edit, language in (("before", "none", ""), ("after", PLAIN, target)):
        here = at[(at["edit"] == edit) & (at["language"] == language)]
        pairs = here[here["metric"] == "distance_pairs"]["value"]
        medoid = here[here["metric"] == "distance_medoid"].set_index("source")["value"]
        to = here[(here["metric"] == "distance_target") & (here["target"] == target)]["value"]
        for name, value in (
            ("all languages", pairs.mean()),
            ("target to medoid", medoid[target]),
            ("others to medoid", medoid.drop(target).mean()),
            ("others to target", to.mean()),
        ):
            rows.setdefault(name, {})[when] = float(value)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("row").reset_index()


def effects(results: pd.DataFrame, layers: Mapping[Place, int]) -> pd.DataFrame:
    """Means over ordered pairs at each place, of every state and question asked.

    ``pairs`` is ``all``, ``query`` (the target language asks, as in the paper's figure 4) or
    ``target`` (it is asked). Columns kind, edit, language, k, strength, seed, place, pairs, metric,
    value, ci_low, ci_high, n, where metrics with ``.delta`` and ``.vs_centring`` are paired
    differences.
    """
    frames = []
    for place, layer in layers.items():
        at = results[results["layer"] == layer]
        languages = at["language"].where(at["language"] != "", other="*")
        for pairs, source, target in (
            ("all", "*", "*"),
            ("query", languages, "*"),
            ("target", "*", languages),
        ):
            wanted = (at["source"] == source) & (at["target"] == target)
            wanted &= (pairs == "all") | (at["language"] != "")
            frames.append(at[wanted].assign(place=place, pairs=pairs))
        for language in languages[languages != "*"].unique():  # of states without a language
            plain = at[at["language"] == ""]
            asks = plain[(plain["source"] == language) & (plain["target"] == "*")]
            asked = plain[(plain["source"] == "*") & (plain["target"] == language)]
            for pairs, rows in (("query", asks), ("target", asked)):
                frames.append(rows.assign(place=place, pairs=pairs, language=language))
    columns = ["kind", "edit", "language", "k", "strength", "seed", "place", "pairs", "metric"]
    columns += ["value", "ci_low", "ci_high", "n"]
    return pd.concat(frames, ignore_index=True)[columns]


def over_targets(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over targets (and seeds of a control) of an effects table; ends are means of ends."""
    keys = ["edit", "place", "pairs", "metric"]
    return table.groupby(keys, sort=False)[["value", "ci_low", "ci_high"]].mean().reset_index()


def sweep(
    doses: pd.DataFrame, written: pd.DataFrame, n_neurons: int, layers: Mapping[Place, int]
) -> pd.DataFrame:
    """The choice of k: on dev, means over targets at λ = 1 and the base (k = 0).

    Columns k, share (of all neurons), top-1 at each place by its name, bits_per_byte, language
    (probability of the target language of what the model writes); the last two are not there for
    an encoder.
    """
    at = doses[doses["strength"] == 1.0]
    top1 = at[at["metric"] == "retrieval_top1"].groupby(["k", "layer"])["value"].mean().unstack()
    top1 = pd.DataFrame({place: top1[row] for place, row in layers.items()})
    bits = at[at["metric"] == "bits_per_byte"].groupby("k")["value"].mean()
    spoken = written.groupby("k")["value"].mean()
    written_too = {} if written.empty else {"bits_per_byte": bits, "language": spoken}
    table = top1.assign(**written_too).reset_index()
    table.insert(1, "share", table["k"] / n_neurons)
    return table
