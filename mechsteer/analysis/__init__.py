"""What an edit does to the space of sentences: pure functions on parallel embeddings."""

from mechsteer.analysis.alignment import (
    cka_matrix,
    debiased_cka,
    mean_distances,
    medoid,
    mexa_hits,
    pair_distances,
    translation_auroc,
    translation_margin,
)
from mechsteer.analysis.baselines import centre, language_means, shift_to
from mechsteer.analysis.dimensions import (
    Standardisation,
    choose_k,
    largest_dimensions,
    largest_share,
    standardisation,
    without_dimensions,
)
from mechsteer.analysis.hubness import anti_hubs, k_occurrence, skewness
from mechsteer.analysis.isotropy import iso_score, mean_cosine, participation_ratio
from mechsteer.analysis.maps import LinearMap, map_to, whitening
from mechsteer.analysis.neutrality import (
    centroid_accuracy,
    probe_accuracy,
    silhouette,
    subspace_angles,
    v_measure,
)
from mechsteer.analysis.proportions import proportion_interval
from mechsteer.analysis.ranking import (
    hits_at,
    mixed_pool_hits,
    reciprocal_ranks,
    translation_ranks,
)
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
    AgainstSeeds,
    Intervals,
    against_seeds,
    bootstrap_difference,
    bootstrap_mean,
    holm,
    mcnemar,
)
from mechsteer.analysis.structure import (
    biased_cka,
    mutual_neighbours,
    neuron_correlation,
    procrustes,
)
from mechsteer.analysis.subspaces import lir_basis, lsar_basis, remove

__all__ = [
    "AgainstSeeds",
    "Intervals",
    "LinearMap",
    "PairHits",
    "Standardisation",
    "against_seeds",
    "anti_hubs",
    "biased_cka",
    "bootstrap_difference",
    "bootstrap_mean",
    "by_pair",
    "centre",
    "centroid_accuracy",
    "choose_k",
    "cka_matrix",
    "csls",
    "debiased_cka",
    "difference_margin",
    "hits_at",
    "holm",
    "iso_score",
    "k_occurrence",
    "language_means",
    "largest_dimensions",
    "largest_share",
    "lir_basis",
    "lsar_basis",
    "map_to",
    "mcnemar",
    "mean_cosine",
    "mean_distances",
    "medoid",
    "mexa_hits",
    "mixed_pool_hits",
    "mutual_neighbours",
    "neuron_correlation",
    "pair_distances",
    "participation_ratio",
    "probe_accuracy",
    "procrustes",
    "proportion_interval",
    "ratio_margin",
    "reciprocal_ranks",
    "remove",
    "retrieval",
    "shift_to",
    "silhouette",
    "skewness",
    "standardisation",
    "subspace_angles",
    "top1_hits",
    "translation_auroc",
    "translation_margin",
    "translation_ranks",
    "v_measure",
    "whitening",
    "without_dimensions",
]
