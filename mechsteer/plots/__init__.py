"""Figures as functions of plain tables; each returns matplotlib axes and never shows them."""

from mechsteer.plots.doses import COST, dose_response
from mechsteer.plots.experts import experts_per_layer, layer_ap, overlap
from mechsteer.plots.heatmaps import retrieval_matrix
from mechsteer.plots.lines import DISTANCES, curves, distances
from mechsteer.plots.marks import effects
from mechsteer.plots.neurons import activations, language_scores, precision_recall
from mechsteer.plots.pairs import likeness
from mechsteer.plots.sentences import hubness, projection
from mechsteer.plots.shares import importance
from mechsteer.plots.transfers import transfer_matrix
from mechsteer.plots.trees import language_tree, similarity_of

__all__ = [
    "COST",
    "DISTANCES",
    "activations",
    "curves",
    "distances",
    "dose_response",
    "effects",
    "experts_per_layer",
    "hubness",
    "importance",
    "language_scores",
    "language_tree",
    "layer_ap",
    "likeness",
    "overlap",
    "precision_recall",
    "projection",
    "retrieval_matrix",
    "similarity_of",
    "transfer_matrix",
]
