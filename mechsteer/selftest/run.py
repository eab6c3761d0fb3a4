"""The self-test of a model: every check, whatever the others came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mechsteer.errors import MechsteerError, SiteError
from mechsteer.models import require_eval, require_raw
from mechsteer.selftest.agreement import agreement
from mechsteer.selftest.check import Check, Gap, measured
from mechsteer.selftest.generation import generation
from mechsteer.selftest.invariance import invariance
from mechsteer.selftest.locality import locality
from mechsteer.selftest.plain import plain_model
from mechsteer.selftest.subject import Subject, subject
from mechsteer.sites import SITES, Site, find_site, site_table


def self_test(
    model: Any, *, sites: Sequence[str] = ("post", "linear"), tokenizer: Any = None
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
        model: a TransformerBridge in eval mode.
        sites: which sites; a mixture of experts has others than the two.
        tokenizer: the model's plain one by default.

    Returns:
        All checks; a site that cannot be read gives a refused one, and the rest goes on without it.

    Raises:
        ModelError: train mode, compatibility mode, or a tokenizer of another model.
        SiteError: an unknown site.
    """
    require_eval(model)
    require_raw(model)
    found = [_site(model, name) for name in sites]
    checks = [check for check, _ in found]
    readable = tuple(site for _, site in found if site is not None)
    if readable:
        subject_ = subject(model, readable, tokenizer)
        parts: tuple[Callable[[Subject], Iterator[Check]], ...] = (
            lambda s: agreement(s, plain_model(model)),
            invariance,
            locality,
            generation,
        )
        for part in parts:
            checks += _all_of(part, subject_)
    return tuple(checks)


def _site(model: Any, name: str) -> tuple[Check, Site | None]:
    """Whether every layer's neurons are found, as wide as their weights say."""
    if name.rpartition(".")[2] not in SITES:
        find_site(model, name)  # names the known ones
    what, compared = f"sites: {name}", "widths in a forward pass, and by the weights"
    try:
        site = find_site(model, name)
        rows = site_table(model, name)
    except SiteError as refusal:
        return Check(what, compared, "refused", reason=str(refusal)), None
    wrong = sum(row.verdict != "ok" for row in rows)
    widths = sorted({point.width for point in site.points})
    reason = f"{site.n_neurons:,} neurons in {len(rows)} hook points of width {widths}"
    return measured(what, compared, [Gap(float(wrong), 0.0)], reason), site


def _all_of(part: Callable[[Subject], Iterator[Check]], subject_: Subject) -> Iterator[Check]:
    """The checks of one part; where it breaks off, a failed one says why."""
    name = getattr(part, "__name__", "agreement")
    try:
        yield from part(subject_)
    except Exception as error:
        kind = "" if isinstance(error, MechsteerError) else f"{type(error).__name__}: "
        text = (str(error).strip() or "no message").splitlines()[0]
        yield Check(name, "the part ran to its end", "failed", reason=f"{kind}{text}")
