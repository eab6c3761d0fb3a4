"""What a forward pass may do to a model: affine maps of neurons and of the residual stream.

Both kinds are plain tensors that know nothing of how they were fitted; ``scaled`` turns any of them
up and down. The constructors are in ``neuron``, ``transport`` and ``residual``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from jaxtyping import Float, Int
from torch import Tensor

from mechsteer.display import Displayed, count, listed
from mechsteer.equality import ByValue
from mechsteer.errors import MechsteerError, shown
from mechsteer.model.sites import HookSite, Site

if TYPE_CHECKING:
    from mechsteer.model.identity import ModelIdentity


@dataclass(frozen=True, eq=False, repr=False)
class NeuronEdit(Displayed, ByValue):
    """The map ``z ← a·z + b`` on chosen neurons of a site.

    ``index`` are flat neuron numbers ``[neuron]``, distinct; all other tensors are float32
    ``[neuron]``. With ``low`` and ``high`` only incoming values in ``[low, high]`` are mapped (the
    edit's window; both or neither). Arithmetic is float32, the result is cast to the activation's
    dtype; where ``a`` is 0 the value is replaced, so an infinite activation cannot turn into NaN.

    ``provenance`` says in JSON how the edit came about; it takes no part in comparisons.
    """

    name: str
    site: Site
    index: Int[Tensor, " neuron"]
    a: Float[Tensor, " neuron"]
    b: Float[Tensor, " neuron"]
    low: Float[Tensor, " neuron"] | None = None
    high: Float[Tensor, " neuron"] | None = None
    model: ModelIdentity | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse ragged, repeated, foreign or non-finite entries."""
        window = [bound for bound in (self.low, self.high) if bound is not None]
        shapes = [tuple(t.shape) for t in (self.index, self.a, self.b, *window)]
        if set(shapes) != {(len(self.index),)}:
            raise MechsteerError(
                f"expected index, a, b and the window of one length, got shapes {shapes}"
            )
        if len(window) == 1:
            raise MechsteerError("expected low and high, or neither: a window has two ends")
        if len(set(self.index.tolist())) != len(self.index):
            raise MechsteerError("expected distinct neurons: one edit moves a neuron once")
        if len(self.index) and not 0 <= int(self.index.min()) <= int(self.index.max()) < (
            self.site.n_neurons
        ):
            raise MechsteerError(f"expected neuron numbers below {self.site.n_neurons}")
        if not (self.a.isfinite().all() and self.b.isfinite().all()):
            raise MechsteerError(f"edit {self.name!r} has coefficients that are not finite")
        if any(bound.isnan().any() for bound in window):
            raise MechsteerError(f"edit {self.name!r} has a window whose ends are not numbers")
        _require_provenance(self.provenance)

    def __len__(self) -> int:
        return len(self.index)

    def scaled(self, strength: float) -> NeuronEdit:
        """The edit at strength λ: ``a' = 1 + λ(a - 1)``, ``b' = λb``. λ=0 is no edit at all."""
        _require_finite(strength)
        known = {"strength": strength * self.provenance.get("strength", 1.0)}
        a, b = 1 + strength * (self.a - 1), strength * self.b
        return replace(self, a=a, b=b, provenance={**self.provenance, **known})

    def __mul__(self, strength: float) -> NeuronEdit:
        """``edit * 0.5`` is ``edit.scaled(0.5)``."""
        return self.scaled(strength)

    __rmul__ = __mul__

    def __neg__(self) -> NeuronEdit:
        """``-edit`` is ``edit.scaled(-1)``."""
        return self.scaled(-1)

    def is_identity(self) -> bool:
        """Whether the map changes nothing: then no hook is installed and logits stay equal bits."""
        return bool((self.a == 1).all() and (self.b == 0).all())

    def _line(self) -> str:
        strength = float(self.provenance.get("strength", 1.0))
        name = f"{self.name} {self.provenance.get('language') or ''}".rstrip()
        return f"{name}: {count(len(self), 'neuron')} of {self.site.name}, λ={strength:g}"


@dataclass(frozen=True, eq=False, repr=False)
class ResidualEdit(Displayed, ByValue):
    """The map ``h ← h + λ(W h + v)`` on the residual stream at some layers.

    ``points`` are rows of the residual stream (``HookSite("residual", row, hook, d)``; row 0 is the
    embedding, row l follows block l). ``v`` is float32 ``[language, point, d]``, and ``W`` is kept
    as ``left @ right.T`` with float32 ``[language, point, d, rank]`` factors (``right`` None:
    ``left`` is ``W`` itself; both None: no linear part). The language axis has length 1 for an edit
    that is the same for every row of a batch; else it follows ``languages``, and whoever installs
    the edit says which language each row has. ``restore_norm`` gives every position the norm it had
    before. Arithmetic is float32 and rounded once to the stream's precision; a vector alone (W = 0,
    no ``restore_norm``) is rounded to it before it is added, as every bias of the model is.

    ``provenance`` says in JSON how the edit came about; it takes no part in comparisons.
    """

    name: str
    points: tuple[HookSite, ...]
    v: Float[Tensor, "language point d"]
    left: Float[Tensor, "language point d rank"] | None = None
    right: Float[Tensor, "language point d rank"] | None = None
    languages: tuple[str, ...] = ()
    strength: float = 1.0
    restore_norm: bool = False
    model: ModelIdentity | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse tensors that do not fit together, and entries that are not finite."""
        shape = (len(self.languages) or 1, len(self.points), *{p.width for p in self.points})
        if self.v.shape != shape:
            raise MechsteerError(
                f"expected v [language, point, d] of shape {shape}, got {tuple(self.v.shape)}"
            )
        factors = [factor for factor in (self.left, self.right) if factor is not None]
        if self.left is None and self.right is not None:
            raise MechsteerError("expected left beside right: W is left @ right.T")
        if any(f.shape[:3] != shape or f.shape != factors[0].shape for f in factors):
            shapes = [tuple(f.shape) for f in factors]
            raise MechsteerError(f"expected factors [*{shape}, rank] of one shape, got {shapes}")
        if not all(t.isfinite().all() for t in (self.v, *factors)):
            raise MechsteerError(f"edit {self.name!r} has entries that are not finite")
        if len(set(self.languages)) != len(self.languages):
            raise MechsteerError(f"expected distinct languages, got {', '.join(self.languages)}")
        _require_finite(self.strength)
        _require_provenance(self.provenance)

    def scaled(self, strength: float) -> ResidualEdit:
        """The edit at ``strength`` times its present λ. λ=0 is no edit at all."""
        _require_finite(strength)
        return replace(self, strength=strength * self.strength)

    def __mul__(self, strength: float) -> ResidualEdit:
        """``edit * 0.5`` is ``edit.scaled(0.5)``."""
        return self.scaled(strength)

    __rmul__ = __mul__

    def __neg__(self) -> ResidualEdit:
        """``-edit`` is ``edit.scaled(-1)``."""
        return self.scaled(-1)

    def of(self, language: str) -> ResidualEdit:
        """The edit that rows of one language get.

        Raises:
            MechsteerError: the edit depends on the language and was not fitted for this one.
        """
        if not self.languages:
            return self
        if language not in self.languages:
            raise MechsteerError(
                f"edit {self.name!r} was fitted for {', '.join(self.languages)}, not {language!r}"
            )
        row = self.languages.index(language)
        left, right = (f if f is None else f[row : row + 1] for f in (self.left, self.right))
        return replace(self, v=self.v[row : row + 1], left=left, right=right, languages=())

    def is_identity(self) -> bool:
        """Whether the map changes nothing: then no hook is installed and logits stay equal bits."""
        nothing = self.strength == 0 or not self.points
        return nothing or (not self._turns() and not self.v.any())

    def is_shift(self) -> bool:
        """Whether it adds a vector and does nothing else."""
        return not self._turns() and not self.restore_norm

    def _turns(self) -> bool:
        return self.left is not None and bool(self.left.any())

    def _line(self) -> str:
        rows = listed(tuple(str(point.layer) for point in self.points))
        whose = f", {listed(self.languages)}" if self.languages else ""
        return f"{self.name}: residual rows {rows}{whose}, λ={self.strength:g}"


Edit = NeuronEdit | ResidualEdit


def as_edits(edits: Any) -> tuple[Edit, ...]:
    """One edit, or several, as several.

    Raises:
        MechsteerError: something else.
    """
    given = list(edits) if isinstance(edits, Iterable) and not isinstance(edits, str) else (edits,)
    for edit in given:
        if not isinstance(edit, NeuronEdit | ResidualEdit):
            many = ": unpack several, *edits" if isinstance(edit, Sequence) else ""
            raise MechsteerError(f"expected an edit, got {shown(edit)}{many}")
    return tuple(given)


def fingerprint(edit: Edit) -> str:
    """SHA-256 of all that an edit does to an activation, whatever model it was fitted on."""
    digest = hashlib.sha256()
    for field_ in fields(edit):
        if field_.name not in ("model", "provenance"):
            value = getattr(edit, field_.name)
            digest.update(f"{field_.name}:".encode())
            if isinstance(value, Tensor):
                digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
                digest.update(value.contiguous().numpy().tobytes())
            else:
                digest.update(repr(value).encode())
    return digest.hexdigest()


def _require_finite(strength: float) -> None:
    try:
        finite = math.isfinite(strength) and not isinstance(strength, bool)
    except (TypeError, OverflowError):  # no number, or one beyond float64
        finite = False
    if not finite:
        raise MechsteerError(f"expected a finite strength, got {shown(strength)}")


def _require_provenance(provenance: Any) -> None:
    if not isinstance(provenance, Mapping):
        kind = type(provenance).__name__
        raise MechsteerError(f"expected a provenance of names and values, got {kind}")
    _require_finite(provenance.get("strength", 1.0))
