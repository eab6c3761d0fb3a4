"""Figures as functions of plain tables; each returns matplotlib axes and never shows them."""

from mechsteer.plots.doses import COST, dose_response
from mechsteer.plots.experts import experts_per_layer, layer_ap, overlap
from mechsteer.plots.heatmaps import retrieval_matrix
from mechsteer.plots.lines import DISTANCES, curves, distances
from mechsteer.plots.marks import effects
from mechsteer.plots.neurons import activations, language_scores, precision_recall
from mechsteer.plots.sentences import hubness, projection

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
    "language_scores",
    "layer_ap",
    "overlap",
    "precision_recall",
    "projection",
    "retrieval_matrix",
]
