"""Affine edits of chosen neurons."""

from .operation import PreparedEdit, edit_neurons

__all__ = ["PreparedEdit", "edit_neurons"]
