"""What was found out about one model once, so that it need not be found out again."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import RLock
from typing import Any


@dataclass
class Facts:
    """What stays true of a model as long as its weights do.

    Attributes:
        lock: held by whoever attaches readers to the model's hook points.
        unaccounted: why a layer's neurons are not all of its MLP; None as long as nobody asked.
        experts: hook points of routed experts that compute what their own code does.
        opened: hook points that mechsteer makes and that are there just now, see ``derived``.
        autoencoders: sparse autoencoders by their folders, each with the stamp of its files.
        hides: whether what a mask or the future hides was seen to change nothing.
        steered: scopes whose edits are installed just now, outer first, see ``steering.state``.
        cached: why generation with a cache is refused, ``""`` where it is not, by who generates.
    """

    lock: Any = field(default_factory=RLock)
    unaccounted: dict[tuple[str, int], str] | None = None
    experts: set[str] = field(default_factory=set)
    hides: bool = False
    opened: dict[str, Any] = field(default_factory=dict)
    steered: list[Any] = field(default_factory=list)
    autoencoders: dict[str, Any] = field(default_factory=dict)
    cached: dict[str, str] = field(default_factory=dict)

    def __reduce__(self) -> tuple[type[Facts], tuple[()]]:
        """A copy of a model is another one, about which nothing is known yet."""
        return Facts, ()
