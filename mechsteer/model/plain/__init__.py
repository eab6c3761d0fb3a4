"""Models read by plain hooks, where TransformerLens has no adapter."""

from mechsteer.model.plain.model import PlainModel
from mechsteer.model.plain.structure import features

__all__ = ["PlainModel", "features"]
