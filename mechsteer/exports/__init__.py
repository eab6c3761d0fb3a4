"""Edits carried elsewhere: exactly, or refused with the reason.

``checkpoint`` writes constant edits into weights, for any engine; ``sentence_transformer`` keeps
edits of any kind in a module; the others write vectors of the residual stream.
"""

from mechsteer.exports.checkpoint import Checkpoint, checkpoint
from mechsteer.exports.encoder import sentence_transformer
from mechsteer.exports.vectors import easysteer, neuronpedia, vllm_hook
from mechsteer.interventions.control_vector import export_gguf as control_vector

__all__ = [
    "Checkpoint",
    "checkpoint",
    "control_vector",
    "easysteer",
    "neuronpedia",
    "sentence_transformer",
    "vllm_hook",
]
