"""What the commands about edits do: make one from a run, write with one, tell what one costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.models import EMBEDDED, open_model
from mechsteer.cli.do.score import recorded, run_scores
from mechsteer.cli.edit_names import named_edit
from mechsteer.corpus import LabelledCorpus
from mechsteer.corpus.formats.packed import suffix_of
from mechsteer.corpus.formats.table import SUFFIXES
from mechsteer.corpus.formats.text import read_lines
from mechsteer.corpus.names.naming import name_or_none
from mechsteer.costs import Cost, cost, sample
from mechsteer.errors import MechsteerError
from mechsteer.interventions import Edit, load_edits, save_edit
from mechsteer.options.ranking import DEFAULT_RANKING, Ranking
from mechsteer.steering import Positions, steer


@dataclass(frozen=True)
class Pair:
    """What a model wrote after one prompt, without and with edits."""

    prompt: str
    before: str
    after: str


def edit_command(
    path: Path,
    output: Path,
    *,
    edit: str,
    language: str,
    k: float,
    how: Ranking = DEFAULT_RANKING,
    strength: float = 1.0,
) -> Edit:
    """Make an edit from the scores of a run and save it, with how it came about."""
    named = named_edit(edit)
    run = Run.open(path)
    experts = run_scores(run).top(language, k, by=how.by, within=how.within)
    make = named.bound(lambda: recorded(run)[2])
    made = make(experts).scaled(strength)
    found = {"edit": edit, "tied_at_cut": experts.tied_at_cut, "scored": run.manifest["inputs"]}
    made = replace(made, provenance={**made.provenance, **found})
    save_edit(made, output)
    return made


def generate_command(
    model: str,
    files: Sequence[str],
    prompts: Sequence[str],
    *,
    strengths: Sequence[float] = (),
    positions: str = "all",
    language: str | None = None,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_p: float = 0.9,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
) -> list[Pair]:
    """Continue each prompt without and with the edits, from the same random numbers."""
    edits = edits_of(files, strengths)
    bridge = open_model(model, device, dtype)
    where = positions_of(positions)

    def write() -> list[str]:
        return [
            sample(
                bridge,
                prompt=prompt,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
            ).texts[0]
            for prompt in prompts
        ]

    before = write()
    named = None if language is None else name_or_none(language) or language
    with steer(bridge, *edits, positions=where, languages=named):
        after = write()
    return [Pair(*texts) for texts in zip(prompts, before, after, strict=True)]


def cost_command(
    model: str,
    files: Sequence[str],
    corpus: Path,
    *,
    language: str,
    strengths: Sequence[float] = (),
    positions: str = "all",
    n: int = 32,
    seeds: int = 4,
    prefix: str = "",
    split: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Cost:
    """What edits cost a model on a text: the lines of a file, or a corpus in the language."""
    edits = edits_of(files, strengths)
    lines = _text(corpus, language, split)
    return cost(
        open_model(model, device, dtype),
        *edits,
        text=lines,
        language=language,
        positions=positions_of(positions),
        n=n,
        seeds=seeds,
        prefix=prefix,
    )


def _text(text: Path, language: str, split: str | None) -> list[str]:
    if str(text) == EMBEDDED or text.is_dir() or suffix_of(text) in SUFFIXES:
        return LabelledCorpus.read(str(text), languages=[language], split=split).flatten()[0]
    if split is not None:
        raise MechsteerError(f"--split: {text} is a file of lines, which has no splits")
    return [line for line in read_lines(text) if line.strip()]


def edits_of(files: Sequence[str], strengths: Sequence[float]) -> list[Edit]:
    """Edits of all files in order; strengths are none, one for all, or one for each file."""
    if len(strengths) not in (0, 1, len(files)):
        raise MechsteerError(
            f"expected one --strength for all or one for each --edit, got {len(strengths)} for "
            f"{len(files)}"
        )
    each = list(strengths) * len(files) if len(strengths) == 1 else list(strengths)
    loaded = [load_edits(file) for file in files]
    return [
        edit.scaled(strength)
        for edits, strength in zip(loaded, each or [1.0] * len(files), strict=True)
        for edit in edits
    ]


def positions_of(name: str) -> Positions:
    """Positions as the command line names them.

    Raises:
        MechsteerError: there are none of that name.
    """
    for known in get_args(Positions):
        if known == name:
            return known  # type: ignore[no-any-return]
    raise MechsteerError(f"expected positions {', '.join(get_args(Positions))}, got {name!r}")
