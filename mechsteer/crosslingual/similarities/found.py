"""What was found of pairs of languages and their distances, and how far the answer holds."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mechsteer.display import Displayed, number
from mechsteer.equality import ByValue

LEVEL = 0.05
KEYS = ("state", "metric", "layer", "place")
TABLES = ("effects", "pairs", "languages", "characteristics", "rankings")


@dataclass(frozen=True, eq=False, repr=False)
class Similarity(Displayed, ByValue):
    """Whether alignment and its gain follow the likeness of languages.

    Attributes:
        effects: One row a response (``state``, ``metric``, ``layer``, ``place``) and predictor:
            ``r``, ``p`` alone (Mantel); ``r_ranks``, ``p_ranks`` alone on ranks; ``beta``,
            ``p_together`` beside the other predictors (MRM), ``p_holm`` corrected over them;
            ``share`` of the variance with ``low`` and ``high`` (LMG); and of the response ``r2``,
            ``r2_unseen`` (pairs of languages that the fit has not seen), ``n_pairs``,
            ``n_languages``.
        pairs: One row an ordered pair and response: ``value``, and the distances (missing where not
            known).
        languages: One row a ``language``, with its ``lineage`` in Glottolog's tree, the family
            first, as ``A > B > C``; empty where it has none.
        characteristics: One row a response and characteristic of single languages (script, family,
            its size, word order, what was given): how a language's mean over its pairs follows it,
            see ``mechsteer.pairwise.explain_languages``. Empty where nothing is known.
        rankings: One row a response that is transferred from a source to a target and way to rank
            sources, see ``mechsteer.pairwise.rank_sources``. Empty without such a response.
        notes: What was left out, and why.
    """

    effects: pd.DataFrame
    pairs: pd.DataFrame
    languages: pd.DataFrame
    characteristics: pd.DataFrame
    rankings: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return {name: getattr(self, name) for name in TABLES}

    def answers(self) -> pd.DataFrame:
        """Which predictor explains most of each response, under four definitions of *explain*.

        Columns ``state``, ``metric``, ``layer``, ``place``; ``alone`` (largest r²), ``ranks`` (on
        ranks), ``together`` (smallest p beside the others), ``share`` (largest share); ``agree``,
        whether all four name one; and ``sure``: predictors below 5 % after Holm.
        """
        rows = []
        for key, group in self.effects.groupby(list(KEYS), sort=False):
            named = group.set_index("predictor")
            best = {
                "alone": (named["r"] ** 2).idxmax(),
                "ranks": (named["r_ranks"] ** 2).idxmax(),
                "together": named["beta"].abs().idxmax(),
                "share": named["share"].idxmax(),
            }
            sure = ", ".join(named.index[named["p_holm"] <= LEVEL])
            agree = len(set(best.values())) == 1
            rows.append(dict(zip(KEYS, key, strict=True)) | best | {"agree": agree, "sure": sure})
        return pd.DataFrame(rows)

    def brief(self) -> pd.DataFrame:
        """One row a response: the share of each predictor, a star where it holds after Holm."""
        return _wide(self.effects, "predictor", "share", self.effects["p_holm"] <= LEVEL)

    def traits(self) -> pd.DataFrame:
        """One row a response: what each characteristic explains, a star where it holds (Holm)."""
        held = self.characteristics["p_holm"] <= LEVEL
        return _wide(self.characteristics, "characteristic", "r2", held)

    def best_sources(self) -> pd.DataFrame:
        """One row a response: NDCG of each ranking of sources, a star where it leads chance."""
        return _wide(self.rankings, "ranking", "ndcg", self.rankings["lead_low"] > 0)

    def printable(self) -> dict[str, pd.DataFrame]:
        """Tables with None where a value is missing, for JSON."""
        return {
            name: table.astype(object).where(table.notna(), None)
            for name, table in self.tables.items()
        }

    def sentences(self) -> list[str]:
        """The answer with its reservation: where it depends on measure, layer and definition."""
        answers = self.answers()
        base = answers[answers["state"] == "none"]
        said = [self._of(base, "Without an edit"), self._of(answers.drop(base.index), "Of gains")]
        return [sentence for sentence in said if sentence] + list(self.notes)

    def _of(self, answers: pd.DataFrame, where: str) -> str:
        if answers.empty:
            return ""
        counts = answers["share"].value_counts()
        sure = int((answers["sure"] != "").sum())
        named = ", ".join(f"{name} {count}" for name, count in counts.items())
        return (
            f"{where}, what explains most of {len(answers)} responses (measures, layers, states): "
            f"{named}; {sure} have a predictor that holds after correction, and in "
            f"{int(answers['agree'].sum())} all four definitions name the same one."
        )

    def _line(self) -> str:
        return self.sentences()[0]

    def _shown(self) -> pd.DataFrame:
        return self.answers()


def _wide(table: pd.DataFrame, names: str, value: str, held: pd.Series[bool]) -> pd.DataFrame:
    """One row a response and one column a name, values as shares of 100."""
    cells = table[value].map(lambda share: number(share, ".1%")) + held.map({True: "*", False: ""})
    wide = (
        table[list(KEYS)]
        .assign(name=table[names], cell=cells)
        .pivot_table(index=list(KEYS), columns="name", values="cell", aggfunc="first", sort=False)
    )
    return wide.reset_index().rename_axis(columns=None)
