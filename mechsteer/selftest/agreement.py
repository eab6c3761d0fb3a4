"""What mechsteer reads, beside what the plain Hugging Face model computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

from torch import Tensor

from mechsteer.model.sites import Site, require_once, residual_points
from mechsteer.selftest.check import Check, Gap, measured, not_applicable, relative
from mechsteer.selftest.derived import PlainDerived, plain_derived
from mechsteer.selftest.plain import Plain, plain_point
from mechsteer.selftest.reference import LOGITS, Reference
from mechsteer.selftest.subject import Subject, activations

_INSIDE = (
    "they lie inside one module; its output was compared with the experts' own code when the site "
    "was found"
)
_DERIVED = "what they are computed from lies inside one module of the plain model"


def agreement(subject: Subject, plain: Plain) -> Iterator[Check]:
    """Neurons, residual stream and logits against the plain model's.

    Where no second copy of the model could be loaded, neurons are compared in place, within one
    pass of the bridge, with what PyTorch's hooks see at the modules inside it.
    """
    if plain.copy is None:
        yield from (_in_place(subject, plain, site) for site in subject.sites)
        yield not_applicable("residual stream", "rows against hidden states", plain.how)
        yield not_applicable("logits", "the bridge against the plain model", plain.how)
        return
    reference = Reference(subject, plain)
    yield from (_hooks(subject, reference, site) for site in subject.sites)
    yield _residual(subject, reference)
    yield _logits(subject, reference)


def _hooks(subject: Subject, reference: Reference, site: Site) -> Check:
    name, compared = (
        f"hooks: {site.name}",
        f"hook points, and forward hooks of {reference.plain.how}",
    )
    hooks = [point.hook for point in site.points if reference.reads(point.hook)]
    if not hooks:
        return not_applicable(name, compared, _why_not(site))
    gaps = [reference.gap(subject.activations[hook], hook) for hook in hooks]
    return _check(name, _some(compared, len(hooks), len(site.points)), gaps, reference)


def _some(compared: str, n: int, of: int) -> str:
    return compared if n == of else f"{compared} ({n} of {of}: no module has the others alone)"


def _why_not(site: Site) -> str:
    """Why no module of the plain model takes or gives the neurons of a site."""
    return _INSIDE if site.points[0].kind == "experts" else _DERIVED


def _check(name: str, compared: str, gaps: list[Gap], reference: Reference) -> Check:
    if all(gap.difference == 0 for gap in gaps):
        return measured(name, compared, gaps, "bit-identical")
    rounding = f"rebuilt by TransformerLens: {', '.join(reference.rebuilt)}; 4 x own rounding"
    return measured(name, compared, gaps, rounding if reference.rebuilt else "no module is rebuilt")


def _residual(subject: Subject, reference: Reference) -> Check:
    *rows, _, final = residual_points(subject.model)
    require_once(subject.model, (*rows, final))
    hooks = [row.hook for row in (*rows, final)]
    found = activations(subject.model, hooks, subject.ids, subject.mask)
    gaps = [reference.gap(found[hook], hook) for hook in hooks]
    return _check("residual stream", "rows, and the plain model's hidden states", gaps, reference)


def _logits(subject: Subject, reference: Reference) -> Check:
    compared = "the bridge, and the plain model"
    logits = subject.logits()
    if logits is None or reference.plain.headless:
        return not_applicable(LOGITS, compared, "the checkpoint has no head, and neurons need none")
    return _check(LOGITS, compared, [reference.gap(logits, LOGITS)], reference)


def _in_place(subject: Subject, plain: Plain, site: Site) -> Check:
    name, compared = f"hooks: {site.name}", f"hook points, and forward hooks of {plain.how}"
    kept: dict[str, Tensor] = {}
    with ExitStack() as scope:
        for point in site.points:
            made = plain_derived(subject.model, plain, point)
            place = made.place if made else plain_point(subject.model, plain, point)
            if place is not None:
                keep = partial(kept.__setitem__, point.hook)
                scope.enter_context(place.reading(_reading(made, keep)))
        subject.logits()
    if not kept:
        return not_applicable(name, compared, _why_not(site))
    found, real = subject.activations, subject.real
    gaps = [
        Gap(relative(found[hook][real], z.reshape(found[hook].shape)[real]), 0.0)
        for hook, z in kept.items()
    ]
    return measured(name, _some(compared, len(kept), len(site.points)), gaps)


def _reading(made: PlainDerived | None, keep: Callable[[Tensor], None]) -> Callable[[Tensor], None]:
    """Keep what passes, or the neurons that are computed from it."""
    return keep if made is None else lambda h: keep(made.read(h))
