"""Hook points that mechsteer makes of what passes another: latents of a sparse autoencoder, say."""

from mechsteer.model.derived.autoencoder import SparseAutoencoder
from mechsteer.model.derived.load import load_autoencoder
from mechsteer.model.derived.opened import derivation_of, opened
from mechsteer.model.derived.point import Derivation, Whole, derived_from, same_as_input

__all__ = [
    "Derivation",
    "SparseAutoencoder",
    "Whole",
    "derivation_of",
    "derived_from",
    "load_autoencoder",
    "opened",
    "same_as_input",
]
