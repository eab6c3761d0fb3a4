"""Training-free interventions of this line of work, in one grammar: affine, at a strength.

``fitting`` fits an edit to one layer after the other.
"""

from mechsteer.interventions.compose import compose
from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.neuron import aura, clamp, damp, shift, zero
from mechsteer.interventions.transport import gaussian_transport, linear_transport

__all__ = [
    "Edit",
    "NeuronEdit",
    "ResidualEdit",
    "aura",
    "clamp",
    "compose",
    "damp",
    "gaussian_transport",
    "linear_transport",
    "shift",
    "zero",
]
