"""A study's states over ranks: each measures its share, and all go on with what lies in the folder.

A state is a file that is named by its condition and keyed by all that determines it, so ranks need
tell each other nothing: they divide what is missing, and read what the others wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.runs import log_work
from mechsteer.progress import progress
from mechsteer.ranks import alone, current, everywhere
from mechsteer.studies.conditions import Condition
from mechsteer.studies.runner import Runner

Embed = Callable[[], LayerEmbeddings]
Probed = Mapping[Condition, Collection[int]]


def measure_ahead(
    runner: Runner,
    conditions: Sequence[Condition],
    *,
    probed: Probed | None = None,
    derived: Mapping[Condition, Embed] | None = None,
) -> None:
    """Measure conditions on several ranks, so that each finds them all measured.

    Nothing is done by one rank alone, which measures as it goes, or without a folder to meet in:
    then every rank measures all.

    Args:
        runner: what measures.
        conditions: by embedding the corpus under them.
        probed: rows at which the quality of the space is measured.
        derived: conditions that are computed from the untouched embeddings, by one rank together.
    """
    folder = runner.folder
    if folder is None or current().size == 1:
        return
    rows = probed or {}
    tasks: dict[Path, Callable[[], object]] = {
        runner.path(condition, folder): partial(
            runner.embedded, condition, probed=rows.get(condition, ())
        )
        for condition in conditions
    }
    if derived:
        last = runner.path(list(derived)[-1], folder)
        tasks[last] = partial(_derive, runner, derived, rows)
    _divide("measuring", tasks)


def predict_ahead(
    runner: Runner, pairs: Sequence[tuple[Condition, str]], texts: Mapping[str, Sequence[str]]
) -> None:
    """``bits_per_byte`` of conditions and languages, on several ranks as ``measure_ahead``."""
    folder = runner.folder
    if folder is not None and current().size > 1:
        tasks = {
            runner.bits_path(condition, language, folder): partial(
                runner.bits_per_byte, condition, language, texts[language]
            )
            for condition, language in pairs
        }
        _divide("predicting text", tasks)


def _derive(runner: Runner, derived: Mapping[Condition, Embed], rows: Probed) -> None:
    for condition, embed in derived.items():
        runner.measured(condition, embed, probed=rows.get(condition, ()))


def _divide(what: str, tasks: Mapping[Path, Callable[[], object]]) -> None:
    """Do those tasks whose file is missing, each on one rank; every rank ends with all files."""
    ranks = current()
    missing = ranks.agreed(what, [path for path in tasks if not path.exists()])
    with ranks.together(what), alone():
        for path in progress(ranks.share(missing), what, "condition"):
            tasks[path]()
    log_work(f"{what}: {len(ranks.share(missing))} of {len(missing)}")
    for path, content in everywhere(list(tasks), ranks, what):
        write_bytes(path, content)
