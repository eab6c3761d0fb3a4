"""Write the guide's table of what each family's checkpoint carries, from tiny checkpoints.

make exports, or python -m tests.exports.table KEY ... to see others
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

import mechsteer as ms
from mechsteer.errors import MechsteerError, ModelError
from mechsteer.exports.baking import bake
from mechsteer.exports.checkpoint import Checkpoint, checkpoint
from mechsteer.exports.constant import constants
from mechsteer.exports.plain import plain_copy
from mechsteer.interventions import Edit
from mechsteer.progress import progress
from tests.exports.by_hand import by_hand, clamped, exact, logits, shifted
from tests.families.checkpoints import save_checkpoint
from tests.families.roster import FAMILIES, Family
from tests.families.table import lines

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "exports.md"
BEGIN, END = "<!-- exports: made by `make exports` -->\n", "<!-- end of exports -->\n"
HEADS = (
    *("family", "clamps lie in", "float32", "bfloat16"),
    *("vectors lie in", "float32", "bfloat16", "float64"),
)
SHOWN = (
    *(
        "bloom",
        "gpt2",
        "neox",
        "xglm",
        "opt",
        "falcon",
        "mpt",
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
    ),
    *("gemma", "gemma2", "gemma3", "cohere", "phi", "phi3", "glm", "olmo2", "smollm3", "granite"),
    *("starcoder2", "bert", "bert_model", "xlmr_model", "deberta", "modernbert"),
    *("t5", "mt5", "m2m100", "mbart", "mixtral"),
)
DTYPES = (torch.float32, torch.bfloat16)
ALL = 256.0  # roundings: show what the default refuses, too


@dataclass
class Row:
    """What a family came to.

    ``ulps`` has the difference of logits and the hooked model's own rounding by edit and dtype;
    ``places`` the modules, or the reason of the refusal; ``exact`` the larger relative difference
    in float64.
    """

    family: Family
    places: dict[str, str] = field(default_factory=dict)
    exact: dict[str, float] = field(default_factory=dict)
    ulps: dict[tuple[str, torch.dtype], tuple[float, float]] = field(default_factory=dict)
    widened: bool = False

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        clamps, vectors = self._cells("clamp"), self._cells("vector")
        exact = f"{max(self.exact.values()):.0e}" if self.exact else ""
        return (self.family.title, *clamps, *vectors, exact)

    def _cells(self, edit: str) -> tuple[str, ...]:
        pairs = [self.ulps.get((edit, dtype)) for dtype in DTYPES]
        return self.places.get(edit, ""), *("" if pair is None else _words(*pair) for pair in pairs)


def _words(difference: float, own: float) -> str:
    """0 where every bit is the same; the model's own rounding where it is known."""
    known = "" if math.isnan(own) else f" ({own:.1f})"
    return ("0" if difference == 0 else f"{difference:.1f}") + known


def row_of(family: Family, folder: Path) -> Row:
    """Bake a clamp and a vector into a family's tiny checkpoint, in three precisions."""
    save_checkpoint(family.key, folder / "model")
    row = Row(family)
    site = next(name for name in ("post", "dense", *family.sites) if name in family.sites)
    makes: dict[str, Callable[[Any], Edit]] = {
        "clamp": lambda model: clamped(model, site),
        "vector": shifted,
    }
    for dtype in DTYPES:
        model = ms.load_model(folder / "model", device="cpu", dtype=dtype)
        for name, make in makes.items():
            edit = make(model)
            try:
                widen, made = _made(model, edit, folder / f"{name}-{dtype}")
            except MechsteerError as refusal:
                row.places[name] = _reason(str(refusal))
                continue
            row.places[name] = _named(made, widen=widen)
            _measure(row, name, model, edit, made, widen=widen)
    return row


def _made(model: Any, edit: Edit, folder: Path) -> tuple[bool, Checkpoint]:
    """The checkpoint, and whether its MLPs had to be wider."""
    try:
        return False, checkpoint(model, edit, folder, tolerance=ALL)
    except MechsteerError as refusal:
        if "--widen" not in str(refusal):
            raise
    return True, checkpoint(model, edit, folder, widen=True, tolerance=ALL)


def _measure(row: Row, name: str, model: Any, edit: Edit, made: Checkpoint, *, widen: bool) -> None:
    """Beside hooks on the plain model, as transformers itself computes it."""
    plain, baked = plain_copy(model), _reloaded(made.folder, model.dtype)
    plain.set_attn_implementation("eager")
    with by_hand(model, plain, [edit]):
        hooked = logits(plain)
    unit = torch.finfo(model.dtype).eps * float(hooked.abs().max())
    difference, own = float((logits(baked) - hooked).abs().max()) / unit, math.nan
    row.widened = row.widened or widen
    with suppress(RuntimeError, MechsteerError):  # some classes compute nothing in float64
        wanted = exact(model, [edit])
        own = float((hooked - wanted).abs().max()) / unit
        if model.dtype == torch.float32:
            there = bake(model, plain_copy(model).double(), constants([edit]), widen=widen).plain
            row.exact[name] = float((logits(there) - wanted).abs().max() / wanted.abs().max())
    row.ulps[name, model.dtype] = difference, own


def _reloaded(folder: Path, dtype: torch.dtype) -> Any:
    config = transformers.AutoConfig.from_pretrained(folder)
    loader = getattr(transformers, config.architectures[0])
    return loader.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def _named(made: Checkpoint, *, widen: bool) -> str:
    """``down_proj``, by ``mlp_bias``."""
    if widen:
        return "more neurons (`widen`)"
    last = dict.fromkeys(name.rpartition(".")[2] for name in made.carriers)
    switch = f", by `{'`, `'.join(made.switches)}`" if made.switches else ""
    layers = " of more layers" if made.layers else ""
    return ", ".join(f"`{name}`" for name in last) + layers + switch


def _reason(message: str) -> str:
    for sign, words in (
        ("router's weight", "refused: routed"),
        ("does not run", "refused: does not run"),
        ("other logits", "refused: a norm's ε is not small here"),
        ("has no bias", "scaling alone"),
        ("adds a bias", "refused: no bias"),
    ):
        if sign in message:
            return words
    raise MechsteerError(message)


def _good(row: Row) -> Iterator[str]:
    """What is wrong with a row."""
    key = row.family.key
    for name, exact_gap in row.exact.items():
        if exact_gap > (1e-11 if not row.widened else 1e-4):  # a norm's ε is no constant
            yield f"{key}, {name}: {exact_gap} in float64"
    for (name, dtype), (difference, own) in row.ulps.items():
        if difference > 2 and not row.widened:
            yield f"{key}, {name}: {difference} in {dtype}, own rounding {own}"


def main() -> None:
    """Bake every family and put the table where the documentation keeps it."""
    chosen = sys.argv[1:] or list(SHOWN)
    rows = []
    for key in progress(chosen, "baking", "family"):
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(row_of(FAMILIES[key], Path(folder)))
            except ModelError as refusal:  # it cannot be loaded at all
                print(f"{key}: {refusal}")  # noqa: T201
    print("\n".join(wrong for row in rows for wrong in _good(row)) or "all within bounds")  # noqa: T201
    table = "".join(lines([row.cells() for row in rows], HEADS))
    if sys.argv[1:]:
        print(table)  # noqa: T201
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + table + "\n" + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
