"""What mechsteer reads, beside what the plain Hugging Face model computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from torch import Tensor

from mechsteer.selftest.check import Check, Gap, measured, not_applicable, relative
from mechsteer.selftest.plain import Plain, has_modules, tap
from mechsteer.selftest.reference import LOGITS, Reference
from mechsteer.selftest.subject import Subject, activations
from mechsteer.sites import Site, residual_points


def agreement(subject: Subject, plain: Plain) -> Iterator[Check]:
    """Neurons, residual stream and logits against the plain model's.

    Where no second copy of the model could be loaded, neurons are compared in place, within one
    pass of the bridge, with what PyTorch's hooks see at the modules inside it.
    """
    if plain.copy is None:
        yield from (_in_place(subject, plain, site) for site in subject.sites if has_modules(site))
        yield not_applicable("residual stream", "rows against hidden states", plain.how)
        yield not_applicable("logits", "the bridge against the plain model", plain.how)
        return
    reference = Reference(subject, plain)
    for site in subject.sites:
        if not has_modules(site):
            reason = "they lie between modules; their loop was compared when the site was found"
            yield not_applicable(f"hooks: {site.name}", "neurons of experts", reason)
            continue
        gaps = [reference.gap(subject.activations[p.hook], p.hook) for p in site.points]
        yield _check(
            f"hooks: {site.name}", f"hook points, and forward hooks of {plain.how}", gaps, reference
        )
    yield _residual(subject, reference)
    yield _logits(subject, reference)


def _check(name: str, compared: str, gaps: list[Gap], reference: Reference) -> Check:
    if all(gap.difference == 0 for gap in gaps):
        return measured(name, compared, gaps, "bit-identical")
    rounding = f"rebuilt by TransformerLens: {', '.join(reference.rebuilt)}; 4 x own rounding"
    return measured(name, compared, gaps, rounding if reference.rebuilt else "no module is rebuilt")


def _residual(subject: Subject, reference: Reference) -> Check:
    *rows, _, final = residual_points(subject.model)
    hooks = [row.hook for row in (*rows, final)]
    found = activations(subject.model, hooks, subject.ids, subject.mask)
    gaps = [reference.gap(found[hook], hook) for hook in hooks]
    return _check("residual stream", "rows, and the plain model's hidden states", gaps, reference)


def _logits(subject: Subject, reference: Reference) -> Check:
    compared = "the bridge, and the plain model"
    if reference.plain.headless or LOGITS not in reference.values:
        return not_applicable(
            LOGITS, compared, "the checkpoint has no prediction head; neurons need none"
        )
    return _check(LOGITS, compared, [reference.gap(subject.logits(), LOGITS)], reference)


def _in_place(subject: Subject, plain: Plain, site: Site) -> Check:
    kept: dict[str, Tensor] = {}

    def keeper(name: str) -> Any:
        return lambda z: kept.__setitem__(name, z.detach().clone())

    with ExitStack() as scope:
        for point in site.points:
            place = tap(subject.model, plain, point)
            scope.enter_context(place.reading(keeper(point.hook)))
        subject.logits()
    found = subject.activations
    real = subject.real
    gaps = [
        Gap(relative(found[hook][real], kept[hook].reshape(found[hook].shape)[real]), 0.0)
        for hook in kept
    ]
    return measured(f"hooks: {site.name}", f"hook points, and forward hooks of {plain.how}", gaps)
