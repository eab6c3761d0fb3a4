"""Figures as functions of the results table; each returns matplotlib axes and never shows them."""

from mechsteer.plots.heatmaps import retrieval_matrix
from mechsteer.plots.lines import DISTANCES, curves, distances, effects, experts_per_layer

__all__ = ["DISTANCES", "curves", "distances", "effects", "experts_per_layer", "retrieval_matrix"]
