"""Ways to run the model, as records: what was done, to whom, how much, and with which seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

from mechsteer.artifacts.files import content_hash
from mechsteer.errors import MechsteerError

Kind = Literal["base", "edit", "random", "centring", "dimensions", "standardisation"]
"""The model as it is; edited; the edit on random neurons; and its embeddings without their means,
without their largest dimensions, with every dimension brought to one scale."""

COLUMNS = ("kind", "edit", "language", "k", "strength", "seed")


_PARTS: dict[Kind, tuple[set[str], set[str]]] = {  # what a kind needs, and all that it may have
    "base": (set(), set()),
    "centring": (set(), set()),
    "dimensions": (set(), set()),
    "standardisation": (set(), set()),
    "edit": ({"edit", "strength"}, {"edit", "language", "k", "strength"}),
    "random": (
        {"edit", "language", "k", "strength", "seed"},
        {"edit", "language", "k", "strength", "seed"},
    ),
}


class Arm(NamedTuple):
    """What is compared with what: all conditions of one kind and edit, whatever their dose."""

    kind: Kind
    edit: str = ""


@dataclass(frozen=True)
class Condition:
    """One way to run the model; None where something does not apply.

    Attributes:
        kind: what was done.
        edit: the edit's name; of ``random``, the edit it is a control of.
        language: the steered one; None where the edit is the same for all.
        k: neurons moved; None where the edit is not one of experts.
        strength: λ of the edit.
        seed: of the random neurons.

    Raises:
        MechsteerError: a part that the kind does not have, or lacks.
    """

    kind: Kind = "base"
    edit: str | None = None
    language: str | None = None
    k: int | None = None
    strength: int | float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        given = {name for name, value in asdict(self).items() if value is not None} - {"kind"}
        if self.kind not in _PARTS:
            raise MechsteerError(f"expected a kind of {', '.join(_PARTS)}, got {self.kind!r}")
        needed, allowed = _PARTS[self.kind]
        if not needed <= given <= allowed or self.edit == "":
            raise MechsteerError(
                f"expected a condition {self.kind!r} with {_listed(needed)} and no more than "
                f"{_listed(allowed)}, got {_listed(given)}"
            )

    @property
    def arm(self) -> Arm:
        """What it is one dose of."""
        return Arm(self.kind, self.edit or "")

    @property
    def label(self) -> str:
        """A short name, fit for progress bars.

        >>> Condition("random", "clamp", "fra_Latn", 50, 1.0, 2).label
        'random clamp fra_Latn k=50 λ=1 seed=2'
        """
        parts: list[str] = [] if self.kind == "edit" else [self.kind]
        parts += [part for part in (self.edit, self.language) if part is not None]
        parts += [self.dose] if self.dose else []
        parts += [f"seed={self.seed}"] if self.seed is not None else []
        return " ".join(parts)

    @property
    def dose(self) -> str:
        """How much was done, for people.

        >>> Condition("edit", "clamp", "fra_Latn", 50, 1.0).dose
        'k=50 λ=1'
        """
        parts = [f"k={self.k}"] if self.k is not None else []
        parts += [f"λ={self.strength:g}"] if self.strength is not None else []
        return " ".join(parts)

    @property
    def file_name(self) -> str:
        """A name of its own, fit for any file system: readable, then a hash of the whole."""
        readable = re.sub(r"[^A-Za-z0-9_.=-]+", "-", self.label)[:60].strip("-.")
        return f"{readable}-{content_hash(asdict(self))[:16]}"

    def columns(self) -> dict[str, Any]:
        """The cells of a tidy table, none of them missing.

        What does not apply is ``""`` (edit, language), 0 (k), 1.0 (strength) or -1 (seed); the
        kind says whether it does.
        """
        return {
            "kind": self.kind,
            "edit": self.edit or "",
            "language": self.language or "",
            "k": self.k or 0,
            "strength": 1.0 if self.strength is None else float(self.strength),
            "seed": -1 if self.seed is None else self.seed,
        }


BASE = Condition()
CENTRING = Condition("centring")
DIMENSIONS = Condition("dimensions")
STANDARDISATION = Condition("standardisation")
FIXED_NAMES: Mapping[str, str] = {
    "base": "none",
    "centring": "centring",
    "dimensions": "dimensions removed",
    "standardisation": "standardised",
}
"""What arms that have no edit are called, by their kind."""
BASELINES = (CENTRING, DIMENSIONS, STANDARDISATION)  # which touch no neuron


def in_order(arms: Iterable[Arm]) -> list[Arm]:
    """Each arm once: the base, then clamping and other edits, random controls, baselines."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    return sorted(set(arms), key=lambda arm: (kinds.index(arm.kind), arm.edit != "clamp", arm.edit))


def names(arms: Iterable[Arm]) -> dict[Arm, str]:
    """What each arm is called, in their order; no two alike.

    An edit has its own name, in quotation marks where a control or the base is called so.

    >>> list(names([Arm("base"), Arm("edit", "clamp"), Arm("random", "clamp")]).values())
    ['none', 'clamp', 'random']
    >>> list(names([Arm("edit", "centring"), Arm("centring")]).values())
    ['“centring”', 'centring']
    """
    ordered = in_order(arms)
    several = len({arm.edit for arm in ordered if arm.edit}) > 1
    found = {
        arm: FIXED_NAMES.get(arm.kind) or (f"random {arm.edit}" if several else "random")
        for arm in ordered
        if arm.kind != "edit"
    }
    taken = {*FIXED_NAMES.values(), "random", *found.values()}
    for arm in ordered:
        if arm.kind == "edit":
            name = arm.edit
            while name in taken:
                name = f"“{name}”"
            taken.add(found.setdefault(arm, name))
    return {arm: found[arm] for arm in ordered}


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(part for part in COLUMNS if part in set(parts)) or "nothing else"
