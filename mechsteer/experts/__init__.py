"""Which neurons detect which language: scores, selections of experts, controls, significance."""

from mechsteer.experts.controls import displacements, null_like, random_like
from mechsteer.experts.files import load_scores, save_scores
from mechsteer.experts.kept import load_experts, save_experts
from mechsteer.experts.lape import FiringRates, firing_rates, lape
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import Experts, NeuronScores
from mechsteer.experts.select import (
    difference,
    intersection,
    jaccard,
    listed,
    overlap_table,
    per_layer,
    threshold,
    top_and_bottom,
    union,
)
from mechsteer.experts.significance import Significance, by_significance, significance_of
from mechsteer.experts.survival import Survival, survival
from mechsteer.experts.top import top_of_recording
from mechsteer.experts.two_scripts import script_overlap
from mechsteer.options.ranking import Criterion, Ranking, Within

__all__ = [
    "Criterion",
    "Experts",
    "FiringRates",
    "NeuronScores",
    "Ranking",
    "Significance",
    "Survival",
    "Within",
    "by_significance",
    "difference",
    "displacements",
    "firing_rates",
    "intersection",
    "jaccard",
    "lape",
    "listed",
    "load_experts",
    "load_scores",
    "null_like",
    "overlap_table",
    "per_layer",
    "random_like",
    "save_experts",
    "save_scores",
    "score_recording",
    "script_overlap",
    "significance_of",
    "survival",
    "threshold",
    "top_and_bottom",
    "top_of_recording",
    "union",
]
