"""What the commands of benchmarks do: let a model answer, and rate its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.cli.do.edits import edits_of, positions_of
from mechsteer.cli.do.models import open_model
from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.names.languages import likely
from mechsteer.costs import (
    Answer,
    Prompt,
    answer,
    confusion,
    forcing,
    questions,
    read_answers,
    read_judged,
    read_prompts,
    read_words,
    save_answers,
    save_for_judge,
)  # fmt: skip
from mechsteer.costs.identify import require_identified
from mechsteer.costs.prompts import holds_prompts
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.interventions import Edit

_LANGUAGE = "{language}"


def answer_command(
    model: str,
    source: Path,
    output: Path,
    *,
    files: Sequence[str] = (),
    strengths: Sequence[float] = (),
    positions: str = "all",
    name: str | None = None,
    languages: Sequence[str] = (),
    targets: Sequence[str] = (),
    limit: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    **how: Any,
) -> tuple[Answer, ...]:
    """Answer prompts without and, where there are any, with edits, and write both to one file.

    What was written is kept beside it until all is (``.kept``), so a killed command goes on.

    Raises:
        MechsteerError: what the reader, the edits or the model refuse; a language that the offline
            identifier does not know.
    """
    prompts = prompts_of(source, languages, targets)
    prompts = tuple(each for each in prompts if limit is None or each.number < limit)
    require_identified(dict.fromkeys(each.language for each in prompts))
    edits = edits_by_language(files, strengths, prompts)
    where = positions_of(positions)
    bridge = open_model(model, device, dtype)
    kept = output.with_name(f"{output.name}.kept")
    answers = answer(bridge, prompts, kept=kept, **how)
    if files:
        answers += answer(bridge, prompts, edits, name=name, positions=where, kept=kept, **how)
    save_answers(answers, output)
    kept.unlink(missing_ok=True)
    return answers


def prompts_of(
    source: Path, languages: Sequence[str] = (), targets: Sequence[str] = ()
) -> tuple[Prompt, ...]:
    """Prompts of a table or a folder of them, or parallel questions for answers in ``targets``.

    Raises:
        CorpusError: targets for prompts that name the language of their answer themselves.
    """
    if not holds_prompts(source):
        return questions(ParallelCorpus.read(source, languages=languages or None), targets or None)
    if targets:
        raise CorpusError(
            f"{source} says in which language each prompt is to be answered: leave --targets out, "
            "or choose with --languages"
        )
    return read_prompts(source, languages=languages or None)


def edits_by_language(
    files: Sequence[str], strengths: Sequence[float], prompts: Sequence[Prompt]
) -> Mapping[str, Sequence[Edit]] | Sequence[Edit]:
    """Edits of all files, or of those of each language where a name has ``{language}`` in it."""
    if not any(_LANGUAGE in file for file in files):
        return edits_of(files, strengths)
    languages = dict.fromkeys(each.language for each in prompts)
    return {
        language: edits_of([file.replace(_LANGUAGE, language) for file in files], strengths)
        for language in languages
    }


def confusion_command(
    path: Path, languages: Sequence[str] = (), words: Path | None = None
) -> pd.DataFrame:
    """Pass rates of a file of answers."""
    return confusion(_answers(path, languages), None if words is None else read_words(words))


def forcing_command(
    path: Path,
    languages: Sequence[str] = (),
    judge: Path | None = None,
    judged: Path | None = None,
) -> pd.DataFrame:
    """Language forcing of a file of answers; ``judge`` is written, ``judged`` is read."""
    answers = _answers(path, languages)
    table = forcing(answers, None if judged is None else read_judged(judged))
    if judge is not None:
        save_for_judge(answers, judge)
    return table


def _answers(path: Path, languages: Sequence[str]) -> tuple[Answer, ...]:
    wanted = {likely(code) for code in languages}
    answers = read_answers(path)
    kept = tuple(each for each in answers if not wanted or each.prompt.language in wanted)
    if missing := sorted(wanted - {each.prompt.language for each in kept}):
        held = ", ".join(sorted({each.prompt.language for each in answers}))
        raise MechsteerError(f"{path} has no answers in {', '.join(missing)}, got {held}")
    return kept
