"""Language forcing: whether edits make a model answer in a language, and still answer the question.

*Forcing* is the share of answers that are identified as the language they should be in.
*Relevance* is the mean score of a judge from 0 (no answer to the question) to 2, over 2: who judges
is the user's choice, and reads the answers from a file. The *steering score* is the harmonic mean
of both.

Source: Gurgurov et al. 2026, "CLaS-Bench" (arXiv 2601.08331), and its evaluation, which identifies
languages with fastText where py3langid does it here, offline.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from mechsteer.analysis.proportions import proportion_interval
from mechsteer.artifacts.atomic import write_bytes
from mechsteer.corpus.formats.table import read_rows
from mechsteer.costs.answers import Answer
from mechsteer.costs.identify import in_language, require_identified
from mechsteer.errors import CorpusError, MechsteerError

_MOST = 2.0  # the judge's best score
_SCORE = ("score", "judge_score")
_BY: Mapping[str, Callable[[Answer], str]] = {
    "target": lambda each: each.prompt.language,
    "source": lambda each: each.prompt.asked_in,
    "all": lambda each: "all",
}


def forcing(answers: Sequence[Answer], judged: Mapping[str, float] | None = None) -> pd.DataFrame:
    """Forcing of answers, and relevance and steering score where a judge scored them.

    Columns are ``edit``, ``by`` (``target``: the language of the answer; ``source``: that of the
    question; ``all``), ``language``, ``metric`` (``forcing``, ``relevance``, ``steering``),
    ``value``, ``ci_low``, ``ci_high`` and ``n``. Forcing has the exact interval of a proportion,
    the others none (NaN). A steering score of nothing forced, or nothing relevant, is 0.

    Args:
        answers: of all states; see ``ms.costs.answer``.
        judged: score by the answer's key, of every answer: ``read_judged``.

    Raises:
        MechsteerError: no answer, a language that the identifier does not know, or answers without
            a score.
    """
    if not answers:
        raise MechsteerError("expected answers, got none")
    if judged is not None and (left := sum(each.key not in judged for each in answers)):
        raise MechsteerError(
            f"{left} of {len(answers)} answers have no score: judge the file that was written for "
            "these very answers"
        )
    hits = forced(answers)
    rows: list[tuple[object, ...]] = []
    for edit in dict.fromkeys(each.edit for each in answers):
        for by, place in _BY.items():
            groups: dict[str, list[int]] = {}
            for i, each in enumerate(answers):
                if each.edit == edit:
                    groups.setdefault(place(each), []).append(i)
            for language, own in groups.items():
                scores = None if judged is None else [judged[answers[i].key] for i in own]
                found = _measured([hits[i] for i in own], scores)
                rows += [(edit, by, language, *row) for row in found]
    columns = ["edit", "by", "language", "metric", "value", "ci_low", "ci_high", "n"]
    return pd.DataFrame(rows, columns=columns)


def forced(answers: Sequence[Answer]) -> list[bool]:
    """Whether each answer is identified as the language it should be in; line breaks are spaces."""
    languages = dict.fromkeys(each.prompt.language for each in answers)
    require_identified(languages)
    found = [False] * len(answers)
    for language in languages:
        rows = [i for i, each in enumerate(answers) if each.prompt.language == language]
        texts = [answers[i].text.replace("\n", " ").strip() for i in rows]
        for i, hit in zip(rows, in_language(texts, language).tolist(), strict=True):
            found[i] = hit
    return found


def harmonic_mean(a: float, b: float) -> float:
    """``2ab / (a + b)``, 0 where either is 0.

    >>> harmonic_mean(1.0, 0.5), harmonic_mean(0.0, 0.0)
    (0.6666666666666666, 0.0)
    """
    return 2 * a * b / (a + b) if a > 0 and b > 0 else 0.0


def save_for_judge(answers: Sequence[Answer], path: str | Path, *, seed: int = 0) -> None:
    """Write answers for a judge: ``id``, ``question``, ``answer``, and an empty ``score``.

    They stand in random order and do not say which edit they are of. Equal answers of one state to
    one question are judged once.

    Raises:
        ArtifactError: the file cannot be written.
    """
    rows = {
        each.key: {
            "id": each.key, "asked_in": each.prompt.asked_in, "language": each.prompt.language,
            "question": each.prompt.text, "answer": each.text, "score": None,
        }
        for each in answers
    }  # fmt: skip
    order = sorted(rows)
    random.Random(seed).shuffle(order)
    text = "".join(json.dumps(rows[key], ensure_ascii=False) + "\n" for key in order)
    write_bytes(Path(path), text.encode("utf-8", "surrogatepass"))


def read_judged(path: str | Path) -> dict[str, float]:
    """Scores that a judge gave, 0 to 2, by ``id``.

    Raises:
        CorpusError: no such columns, an id twice, or a score that is none, with ``file:line``.
    """
    table = read_rows(Path(path))
    name = next((each for each in _SCORE if each in table.columns), None)
    if "id" not in table.columns or name is None:
        raise CorpusError(f"{path}: expected columns id and score, got {', '.join(table.columns)}")
    found: dict[str, float] = {}
    rows = zip(table.lines, table.columns["id"], table.columns[name], strict=True)
    for line, key, cell in rows:
        if str(key) in found:
            raise CorpusError(f"{path}:{line}: the id {key!r} occurs twice")
        found[str(key)] = _score(cell, f"{path}:{line}")
    return found


def _score(cell: object, where: str) -> float:
    try:
        score = float(str(cell))
    except ValueError:
        score = -1.0
    if isinstance(cell, bool) or not 0 <= score <= _MOST:
        raise CorpusError(f"{where}: expected a score from 0 to {_MOST:g}, got {cell!r}")
    return score


def _measured(
    hits: Sequence[bool], scores: Sequence[float] | None
) -> list[tuple[str, float, float, float, int]]:
    n, nan = len(hits), float("nan")
    low, high = proportion_interval(torch.tensor(sum(hits)), n)
    share = sum(hits) / n
    rows = [("forcing", share, float(low), float(high), n)]
    if scores is None:
        return rows
    relevance = sum(scores) / n / _MOST
    steering = harmonic_mean(share, relevance)
    return [*rows, ("relevance", relevance, nan, nan, n), ("steering", steering, nan, nan, n)]
