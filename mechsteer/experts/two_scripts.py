"""Languages that a corpus has in two scripts: do both have the same experts?"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from mechsteer.corpus.names.languages import script_of
from mechsteer.options import records
from mechsteer.options.ranking import Ranking

if TYPE_CHECKING:
    from mechsteer.experts.scores import NeuronScores

COLUMNS = ("language", "script", "other", "shared", "jaccard", "chance")


def script_overlap(scores: NeuronScores, k: int | float, **ranking: Any) -> pd.DataFrame:
    """Experts that one language's two scripts share, for every language in several.

    Columns language (ISO 639-3), script, other, shared (neurons among the k experts of both),
    jaccard (these over the experts of either), and ``chance``, the neurons that two random sets
    share on average (``k²/neurons``). Without such a language there are no rows.

    Args:
        scores: of every neuron.
        k: experts of each: a number or a fraction of all neurons.
        **ranking: ``by`` and ``within``, see ``mechsteer.options.ranking``.

    Raises:
        MechsteerError: an option or k out of range, or no other language of a script where experts
            are ranked within it.
    """
    (how,) = records(ranking, Ranking)
    count = scores.resolve_k(k)
    rows = []
    for one, two in combinations(scores.languages, 2):
        language = one.partition("_")[0]
        if language != two.partition("_")[0]:
            continue
        a, b = (
            set(scores.top(code, count, by=how.by, within=how.within).index.tolist())
            for code in (one, two)
        )
        shared, either = len(a & b), max(len(a | b), 1)
        chance = count**2 / scores.site.n_neurons
        rows.append((language, script_of(one), script_of(two), shared, shared / either, chance))
    return pd.DataFrame(rows, columns=list(COLUMNS))
