"""What ``mechsteer check`` does: a model's sites and its self-test, for people and machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import pandas as pd

from mechsteer.cli.do.models import open_model
from mechsteer.errors import MechsteerError
from mechsteer.model.interface import Model
from mechsteer.model.sites import SiteRow, site_table
from mechsteer.selftest import Check, Verdict, self_test


@dataclass(frozen=True)
class Checked:
    """The self-test of one model, beside what was tested.

    ``sites`` holds one row for each run of layers that are alike; ``hook`` writes their number
    as ``*``.
    """

    model: str
    architecture: str
    dtype: str
    device: str
    sites: tuple[dict[str, Any], ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all checks: failed, refused or ok."""
        verdicts = {check.verdict for check in self.checks}
        return next((v for v in ("failed", "refused") if v in verdicts), "ok")

    def as_dict(self) -> dict[str, Any]:
        """All of it in JSON's types."""
        return {"verdict": self.verdict, **asdict(self)}

    def sites_table(self) -> pd.DataFrame:
        """The sites as a person reads them."""
        return pd.DataFrame(self.sites)

    def checks_table(self) -> pd.DataFrame:
        """The checks as a person reads them."""
        rows = [
            {
                "check": check.name,
                "difference": _brief(check.difference),
                "allowed": _brief(check.tolerance),
                "verdict": check.verdict,
                "of what": "; ".join(filter(None, (check.compared, check.reason))),
            }
            for check in self.checks
        ]
        return pd.DataFrame(rows)


def check_command(
    source: str, sites: Sequence[str], *, device: str | None = None, dtype: str | None = None
) -> Checked:
    """Load a model and test it.

    Raises:
        MechsteerError: the model cannot be loaded, or its tokenizer belongs to another; an unknown
            site.
    """
    model = open_model(source, device, dtype)
    who = model.identity()
    checks = self_test(model, sites=sites)
    rows = [row for site in sites for row in _rows(model, site)]
    where = next(model.parameters()).device.type
    return Checked(who.name, who.architecture, who.dtype, where, tuple(_folded(rows)), checks)


def _rows(model: Model, site: str) -> tuple[SiteRow, ...]:
    try:
        return site_table(model, site)
    except MechsteerError:  # the check of the site says so
        return ()


def _folded(rows: Sequence[SiteRow]) -> Iterator[dict[str, Any]]:
    """One row for consecutive layers that differ in their number alone."""
    order = {row.component: number for number, row in reversed(list(enumerate(rows)))}
    for alike, layers in groupby(sorted(rows, key=lambda row: order[row.component]), key=_alike):
        component, hook, width, weight_width, verdict = alike
        numbers = [row.layer for row in layers]
        yield {
            "component": component,
            "layers": str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}",
            "hook": hook,
            "width": width,
            "weight_width": weight_width,
            "verdict": verdict,
        }


def _alike(row: SiteRow) -> tuple[str, str, int | None, int | None, str]:
    hook = row.hook.replace(f".{row.layer}.", ".*.")
    verdict = row.verdict.replace(f"layer {row.layer}", "each of these layers")
    return row.component, hook, row.width, row.weight_width, verdict


def _brief(number: float | None) -> str:
    return "" if number is None else f"{number:.1e}" if number else "0"
