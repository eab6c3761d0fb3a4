"""Processes that share one command (torchrun): who takes what, and how they keep in step."""

from mechsteer.ranks.current import alone, current
from mechsteer.ranks.files import everywhere
from mechsteer.ranks.group import OtherRankError, Ranks

__all__ = ["OtherRankError", "Ranks", "alone", "current", "everywhere"]
