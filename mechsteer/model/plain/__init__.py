"""Models read by plain hooks, where TransformerLens has no adapter."""

from mechsteer.model.plain.model import PlainModel

__all__ = ["PlainModel"]
