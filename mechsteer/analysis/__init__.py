"""What an edit does to the space of sentences: pure functions on parallel embeddings."""

from mechsteer.analysis.alignment import (
    debiased_cka,
    mean_distances,
    medoid,
    mexa_hits,
    pair_distances,
    translation_margin,
)
from mechsteer.analysis.baselines import centre, language_means, shift_to
from mechsteer.analysis.retrieval import (
    PairHits,
    by_pair,
    csls,
    difference_margin,
    ratio_margin,
    retrieval,
    top1_hits,
)
from mechsteer.analysis.statistics import (
    Intervals,
    bootstrap_difference,
    bootstrap_mean,
    holm,
    mcnemar,
)
from mechsteer.analysis.subspaces import lir_basis, lsar_basis, remove

__all__ = [
    "Intervals",
    "PairHits",
    "bootstrap_difference",
    "bootstrap_mean",
    "by_pair",
    "centre",
    "csls",
    "debiased_cka",
    "difference_margin",
    "holm",
    "language_means",
    "lir_basis",
    "lsar_basis",
    "mcnemar",
    "mean_distances",
    "medoid",
    "mexa_hits",
    "pair_distances",
    "ratio_margin",
    "remove",
    "retrieval",
    "shift_to",
    "top1_hits",
    "translation_margin",
]
