"""Constant edits written into the weights of a plain model: scaled weights, biases, layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mechsteer.errors import MechsteerError
from mechsteer.exports.biases import give
from mechsteer.exports.classes import richer
from mechsteer.exports.constant import Constant, Map, Shift
from mechsteer.exports.holding import Given, Holding
from mechsteer.exports.layers import Layer, Layers
from mechsteer.exports.owing import Debts, Unbiased
from mechsteer.exports.weights import map_output, scale_columns
from mechsteer.exports.widening import Widening
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite
from mechsteer.selftest.plain import Plain, PlainPoint, plain_point

Way = Literal["all", "some", "none"]
"""Which vectors must have layers of their own: all, those that can, or none."""


@dataclass(frozen=True)
class Baked:
    """A plain model with edits in its weights.

    Attributes:
        plain: the model.
        switches: fields of its configuration that were turned on for biases.
        carriers: modules that carry a constant.
        layers: how many blocks it has more.
        widened: how many neurons each MLP has more.
    """

    plain: Any
    switches: tuple[str, ...]
    carriers: tuple[str, ...]
    layers: int = 0
    widened: int = 0


def bake(
    model: Model,
    plain: Any,
    parts: Iterable[Constant],
    *,
    layers: bool = True,
    widen: bool = False,
) -> Baked:
    """Write constant edits into a plain model.

    A shift ``v`` of the residual stream becomes a block of its own (``layers``), and neurons that
    get a value are held by the biases before them (``holding``), where there are some: equal to the
    bit. Else a map ``z ← a·z + b`` of what a linear module takes scales its columns by ``a`` and
    adds ``W b`` to its bias; of what it gives, it scales rows and bias, and adds ``b``; and a shift
    adds ``v`` to the bias that reaches the stream there without a norm behind it. Sums are float64,
    rounded once to the weights' precision; values that replace an activation are rounded as the
    activation is.

    Args:
        model: what the edits were made for.
        plain: its copy, which is changed.
        parts: one a hook point.
        layers: let shifts have blocks of their own.
        widen: where nothing has a bias, add neurons that are constant, see ``widening``.

    Raises:
        MechsteerError: a constant has no place; the message says which and why.
        Unlayered: the model depends on how many blocks it has; the plain one is spoilt.
    """
    parts = list(parts)
    ways: list[Way] = ["all", "some"] if layers else ["none"]
    reasons: dict[Way, str] = {}
    for target, way in _attempts(plain, ways):
        try:
            return _Baker(model, target, parts, way).write()
        except Unbiased as refusal:
            reasons.setdefault(way, str(refusal))  # not the error, whose frames hold the model
    reason = reasons[ways[-1]]
    wider = Widening(model, plain)
    try:
        baker = _Baker(model, plain, parts, ways[-1], wider)
    except Unbiased:
        raise Unbiased(reason) from None
    if not widen:
        raise Unbiased(
            f"{reason}; with widen (--widen), {wider.more} more neurons in each MLP hold it"
        )
    return baker.write()


def _attempts(plain: Any, ways: list[Way]) -> Iterator[tuple[Any, Way]]:
    """Models and ways to try in turn; another class is made once its turn comes."""
    yield plain, ways[0]
    other, ulps = richer(plain) or (None, 0.0)
    same = [plain] if other is None or ulps else [plain, other]
    for way in ways:
        for target in same:
            if target is not plain or way != ways[0]:
                yield target, way
    if ulps:
        yield other, ways[-1]


class _Baker:
    """One plain model on its way; nothing is changed before every constant has its place."""

    def __init__(
        self,
        model: Model,
        plain: Any,
        parts: list[Constant],
        layers: Way,
        wider: Widening | None = None,
    ) -> None:
        self.model, self.plain, self.wider = model, plain, wider
        self.debts = Debts(model, plain, wider)
        maps = [(self._point(p.point), p) for p in parts if isinstance(p, Map)]
        self.maps = self._held(
            [m for m in maps if m[0].before], [m for m in maps if not m[0].before]
        )
        for at, part in self.maps:
            if at.before:
                self.debts.owe_input(at, part)
            else:
                self._require_bias(at, part)
        self.inserting = Layers(model, plain, self.debts.possible)
        self.layers: list[Layer] = []
        for shift in (part for part in parts if isinstance(part, Shift)):
            layer = None if layers == "none" else self.inserting.layer(shift)
            if layer is not None:
                self.layers.append(layer)
            elif layers == "all":
                raise self.debts.unbiased(f"no layer carries {shift.point.hook}")
            else:
                self.debts.owe_shift(shift)

    def write(self) -> Baked:
        """Change the model."""
        debts = self.debts
        moved = [(at, part) for at, part in self.maps if not at.before]
        outputs = [debts.names[id(at.module)] for at, part in moved if part.b.any()]
        carriers = tuple(dict.fromkeys((*debts.sums, *outputs)))
        wide = {name: debts.sums[name] for name in debts.sums if debts.widens(name)}
        biased = [n for n in carriers if n not in wide and not debts.is_table(n)]
        switches = give(
            self.plain, [*biased, *(f"{layer.source}.{layer.carrier}" for layer in self.layers)]
        )
        for at, part in self.maps:
            if at.before:
                scale_columns(at.module, part.a, self.plain.dtype)
        for name in debts.sums.keys() - wide:
            debts.pay(name)
        for at, part in moved:
            map_output(at, part)
        if wide and self.wider is not None:
            switches = (*switches, *self.wider.apply(wide))
        carried = [debts.modules[name] for name in carriers]
        carried += self.inserting.insert(self.layers)
        names = {id(module): name for name, module in self.plain.named_modules()}
        return Baked(
            self.plain,
            switches,
            tuple(names[id(module)] for module in carried),
            len(self.layers),
            self.wider.more if wide and self.wider is not None else 0,
        )

    def _point(self, point: HookSite) -> PlainPoint:
        found = plain_point(self.model, Plain(self.plain, ""), point)
        if found is None:
            raise MechsteerError(
                f"{point.hook} is what no linear module takes or gives, so no weight carries an "
                "edit of it (latents of an autoencoder, say): expected an edit of neurons or of "
                "the residual stream"
            )
        return found

    def _held(self, taken: list[Given], given: list[Given]) -> list[Given]:
        """What is taken, and then what is given, where biases before them hold neurons."""
        if not any((part.b[part.a == 0] != 0).any() for _, part in taken):
            return taken + given
        holding, left, before = Holding(self.model, self.plain), [], []
        for at, part in taken:
            rest, holds = holding.split(at, part)
            can = all(self.debts.names[id(to.module)] in self.debts.possible for to, _ in holds)
            left.append((at, rest if can else part))
            before += holds if can else []
        return left + given + before

    def _require_bias(self, at: PlainPoint, part: Map) -> None:
        name = self.debts.names[id(at.module)]
        if part.b.any() and name not in self.debts.possible:
            raise self.debts.unbiased(f"{name} has no bias")
