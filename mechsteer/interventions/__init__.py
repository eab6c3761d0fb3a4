"""Training-free interventions of this line of work, in one grammar: affine, at a strength."""

from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.files import load_edit, load_edits, save_edit
from mechsteer.interventions.neuron import clamp
from mechsteer.interventions.residual import (
    centring,
    diffmean,
    linear_map,
    recover,
    remove_subspace,
)

__all__ = [
    "Edit",
    "NeuronEdit",
    "ResidualEdit",
    "centring",
    "clamp",
    "diffmean",
    "linear_map",
    "load_edit",
    "load_edits",
    "recover",
    "remove_subspace",
    "save_edit",
]
