"""What all tests ask of their numbers."""

from __future__ import annotations

from mechsteer.errors import MechsteerError, shown

FEWEST = 19  # permutations: with fewer no p-value is 5 % or less


def checked_permutations(permutations: int) -> None:
    """Refuse too few permutations.

    Raises:
        MechsteerError: Fewer than 19.
    """
    if isinstance(permutations, bool) or permutations < FEWEST:
        raise MechsteerError(
            f"expected {FEWEST} permutations or more, got {shown(permutations)}; type 999"
        )
