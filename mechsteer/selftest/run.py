"""The self-test of a model: every check, whatever the others came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mechsteer.errors import MechsteerError, SiteError
from mechsteer.model.interface import Model
from mechsteer.model.sites import (
    Site,
    find_site,
    is_known,
    require_once,
    require_tokens,
    site_table,
)
from mechsteer.model.wrap import ModelLike, as_model
from mechsteer.progress import with_bars
from mechsteer.selftest.agreement import agreement
from mechsteer.selftest.check import Check, Gap, measured
from mechsteer.selftest.generation import generation
from mechsteer.selftest.invariance import invariance
from mechsteer.selftest.locality import locality
from mechsteer.selftest.plain import plain_model
from mechsteer.selftest.subject import Subject, subject


@with_bars
def self_test(
    model: ModelLike,
    *,
    sites: Sequence[str] = ("post", "linear"),
    tokenizer: Any = None,
    progress: bool = True,
) -> tuple[Check, ...]:
    """Check on a model itself that what mechsteer says about it is true; seconds, a few sentences.

    - *Sites*: every layer has its neurons, as wide in a forward pass as by the weights.
    - *Hooks, residual stream, logits*: what is read equals what PyTorch's forward hooks see in the
      plain Hugging Face model: bit for bit where TransformerLens runs the model's own modules, else
      within 4 times the plain model's own rounding error, measured against its float64 self. A
      second copy is loaded where its source is known and takes less than 3 GB; else the modules
      inside the bridge are compared in place, and the check says so.
    - *Padding, batches, embeddings*: a sentence's numbers do not depend on what surrounds it
      (float32 ``|Δz| ≤ 1e-5 max|z|``, lower precision 2 ulp).
    - *Edits*: one neuron changed changes nothing before it, the down-projection's output by
      ``W_out[:, j] Δ`` within rounding, and leaves nothing behind.
    - *Generation*: greedy, with and without a cache, as it is and edited (float32 alone).

    Args:
        model: in eval mode, whatever ``mechsteer.wrap`` takes.
        sites: which of ``mechsteer.model.sites.SITES``.
        tokenizer: the model's plain one by default.
        progress: show bars where a terminal watches.

    Returns:
        All checks; a site that cannot be read gives a refused one, and the rest goes on without it.

    Raises:
        ModelError: train mode, compatibility mode, or a tokenizer of another model.
        SiteError: an unknown site.
    """
    model = as_model(model)
    model.require_eval()
    model.require_raw()
    found = [_site(model, name) for name in sites]
    checks = [check for check, _ in found]
    readable = tuple(site for _, site in found if site is not None)
    if not readable:
        return tuple(checks)
    tested = subject(model, readable, tokenizer)
    if refusal := _other_tokens(tested):
        return (*checks, refusal)
    for name, part in _PARTS.items():
        checks += _all_of(name, part, tested)
    return tuple(checks)


def _agreement(tested: Subject) -> Iterator[Check]:
    return agreement(tested, plain_model(tested.model))


_PARTS: dict[str, Callable[[Subject], Iterator[Check]]] = {
    "agreement": _agreement,
    "invariance": invariance,
    "edit": locality,
    "generation": generation,
}


def _site(model: Model, name: str) -> tuple[Check, Site | None]:
    """Whether every layer's neurons are found, once each, as wide as their weights say."""
    if not is_known(name):
        find_site(model, name)  # names the known ones
    what, compared = f"sites: {name}", "widths in a forward pass, and by the weights"
    try:
        site = find_site(model, name)
        require_once(model, site.points)
        rows = site_table(model, name)
    except SiteError as refusal:
        return Check(what, compared, "refused", reason=str(refusal)), None
    except Exception as error:  # the model itself does not run
        return Check(what, compared, "failed", reason=_line(error)), None
    wrong = sum(row.verdict != "ok" for row in rows)
    widths = ", ".join(map(str, sorted({point.width for point in site.points})))
    reason = f"{site.n_neurons:,} neurons, {len(rows)} hook points {widths} wide"
    return measured(what, compared, [Gap(float(wrong), 0.0)], reason), site


def _other_tokens(tested: Subject) -> Check | None:
    """The refusal of a model whose activations belong to other tokens than it was given."""
    try:
        for point in tested.points:
            require_tokens(point, tested.activations[point.hook], tested.real)
    except SiteError as refusal:
        return Check("tokens", "tokens given, and activations", "refused", reason=str(refusal))
    return None


def _all_of(
    name: str, part: Callable[[Subject], Iterator[Check]], tested: Subject
) -> Iterator[Check]:
    """The checks of one part; where it breaks off, a failed one says why."""
    try:
        yield from part(tested)
    except SiteError as refusal:
        yield Check(name, "these checks ran to their end", "refused", reason=str(refusal))
    except Exception as error:
        yield Check(name, "these checks ran to their end", "failed", reason=_line(error))


def _line(error: Exception) -> str:
    kind = "" if isinstance(error, MechsteerError) else f"{type(error).__name__}: "
    return f"{kind}{(str(error).strip() or 'no message').splitlines()[0]}"
