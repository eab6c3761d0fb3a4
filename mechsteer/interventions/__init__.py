"""Training-free interventions of this line of work, in one grammar: affine, at a strength."""

from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.files import load_edit, load_edits, save_edit
from mechsteer.interventions.neuron import clamp

__all__ = [
    "Edit",
    "NeuronEdit",
    "ResidualEdit",
    "clamp",
    "load_edit",
    "load_edits",
    "save_edit",
]
