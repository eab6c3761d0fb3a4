"""Models read by plain hooks, where TransformerLens has no adapter."""

from mechsteer.plain.model import PlainModel
from mechsteer.plain.structure import features

__all__ = ["PlainModel", "features"]
