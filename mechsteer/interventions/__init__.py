"""Training-free interventions of this line of work, in one grammar: affine, at a strength."""

from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.neuron import clamp

__all__ = ["Edit", "NeuronEdit", "ResidualEdit", "clamp"]
