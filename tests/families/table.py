"""Write the documentation's table of supported models from self-tests of tiny checkpoints.

make families
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mechsteer.errors import MechsteerError
from mechsteer.model.load import load_model
from mechsteer.model.plain import PlainModel
from mechsteer.model.sites import find_site
from mechsteer.progress import progress
from mechsteer.selftest import Check, self_test
from tests.families.checkpoints import save_checkpoint
from tests.families.other_sites import COLUMNS, cells, checks_of
from tests.families.roster import FAMILIES, Family

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "families.md"
BEGIN, END = "<!-- families: made by `make families` -->\n", "<!-- end of families -->\n"
HEADS = ("family", "for example", "read by", "sites", "neurons against plain hooks", *COLUMNS)


@dataclass(frozen=True)
class Outcome:
    """What a tiny checkpoint of a family came to; ``refusal`` where it is not supported."""

    family: Family
    adapter: str = ""
    checks: tuple[Check, ...] = ()
    refusal: str = ""
    others: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there are checks, and none failed or was refused."""
        bad = [check for check in self.checks if check.verdict in ("failed", "refused")]
        return bool(self.checks) and not bad

    def row(self) -> tuple[str, ...]:
        """The family's row of the table."""
        if self.refusal:
            nothing = ("",) * len(COLUMNS)
            return self.family.title, self.family.examples, "refused", "", self.refusal, *nothing
        if not self.passed:
            raise MechsteerError(f"{self.family.title}: the self-test does not pass")
        sites = ", ".join(f"`{name}`" for name in self.family.sites)
        titles = self.family.title, self.family.examples
        return *titles, self.adapter, sites, self._agreement(), *self.others

    def _agreement(self) -> str:
        found = [c.difference for c in self.checks if c.name.startswith("hooks: ")]
        known = [difference for difference in found if difference is not None]
        rounded = self.family.rebuilt or max(known, default=0) > 0
        agreement = "within own rounding" if rounded else "bit-identical"
        if None not in found:
            return agreement
        experts = "experts' output that of transformers within rounding"
        return f"dense layers {agreement}, {experts}" if known else experts


def outcome_of(family: Family, folder: Path, *, others: bool = True) -> Outcome:
    """Make a family's tiny checkpoint in a folder, load it and test it.

    ``others``: sites beside the neurons of MLPs too.
    """
    save_checkpoint(family.key, folder)
    try:
        model = load_model(folder, device="cpu")
        if not family.sites:
            find_site(model)
    except MechsteerError as error:
        return Outcome(family, refusal=_reason(str(error)))
    adapter = "own hooks" if isinstance(model, PlainModel) else "bridge"
    checks = self_test(model, sites=family.sites)
    if not others:
        return Outcome(family, adapter, checks)
    found = checks_of(model, folder / "autoencoder")
    return Outcome(family, adapter, checks, others=cells(found, rebuilt=family.rebuilt))


def _reason(message: str) -> str:
    """What a refusal says of the neurons, without the model's name and the advice."""
    inner = message.partition("by structure (")[2] or message
    return inner.partition("); ")[0]


def lines(rows: list[tuple[str, ...]], heads: tuple[str, ...] = HEADS) -> Iterator[str]:
    """The table in Markdown."""
    for row in (heads, ("---",) * len(heads), *rows):
        yield f"| {' | '.join(row)} |\n"


def main() -> None:
    """Test every family and put the table where the documentation keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            outcome_of(family, Path(folder, key)).row()
            for key, family in progress(list(FAMILIES.items()), "self-testing", "family")
        ]
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + "\n" + "".join(lines(rows)) + "\n" + END + after, "utf-8")


if __name__ == "__main__":
    main()
