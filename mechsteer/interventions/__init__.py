"""Training-free interventions of this line of work, in one grammar: affine, at a strength.

``mechsteer.steering.fitting`` fits an edit to one layer after the other.
"""

from mechsteer.interventions.compose import compose
from mechsteer.interventions.edits import Edit, NeuronEdit, ResidualEdit
from mechsteer.interventions.files import load_edit, load_edits, save_edit
from mechsteer.interventions.linear import linear_map, remove_subspace
from mechsteer.interventions.neuron import aura, clamp, damp, shift, zero
from mechsteer.interventions.residual import centring, diffmean, recover
from mechsteer.interventions.samples import rescored
from mechsteer.interventions.transport import gaussian_transport, linear_transport

__all__ = [
    "Edit",
    "NeuronEdit",
    "ResidualEdit",
    "aura",
    "centring",
    "clamp",
    "compose",
    "damp",
    "diffmean",
    "gaussian_transport",
    "linear_map",
    "linear_transport",
    "load_edit",
    "load_edits",
    "recover",
    "remove_subspace",
    "rescored",
    "save_edit",
    "shift",
    "zero",
]
