"""Sites beside the neurons of MLPs, self-tested on a family's tiny checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechsteer.errors import MechsteerError
from mechsteer.selftest import Check, self_test
from tests.model.autoencoders import made_weights, save

# columns of the table of families, and the sites of which each speaks
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "`residual`": ("residual",),
    "`sae:`": ("sae",),
    "`head`, `head_mean`": ("head", "head_mean"),
    "`attention`": ("attention",),
}
PLAIN = tuple(name for names in COLUMNS.values() for name in names if name != "sae")


def checks_of(model: Any, folder: Path, kind: str = "jumprelu") -> tuple[Check, ...]:
    """Self-test every other site, a made autoencoder of the middle of the model among them."""
    stack = model.stacks[0]
    hook = stack.hook(len(stack.blocks) // 2, "hook_resid_post")
    made = save(folder, "saelens", kind, made_weights(kind, int(model.cfg.d_model)), hook_name=hook)
    return self_test(model, sites=(*PLAIN, f"sae:{made}"))


def cells(checks: Sequence[Check], *, rebuilt: bool = False) -> tuple[str, ...]:
    """What each column says: how near the plain model the numbers are, or that there are none.

    Raises:
        MechsteerError: a check failed.
    """
    failed = [check.name for check in checks if check.verdict == "failed"]
    if failed:
        raise MechsteerError(f"the self-test does not pass: {', '.join(failed)}")
    by_name = {check.name.partition(":/")[0]: check for check in checks}
    return tuple(_cell(by_name, names[0], rebuilt=rebuilt) for names in COLUMNS.values())


def _cell(checks: Mapping[str, Check], site: str, *, rebuilt: bool) -> str:
    if checks[f"sites: {site}"].verdict == "refused":
        return "none"
    difference = checks[f"hooks: {site}"].difference
    if difference is None:
        return "self-consistent"
    return "within own rounding" if rebuilt or difference else "bit-identical"
