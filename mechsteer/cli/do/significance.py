"""What ``mechsteer select --fdr`` does: experts by significance, from the recording of a run."""

from __future__ import annotations

from pathlib import Path

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.locks import locked
from mechsteer.artifacts.places import as_file_name
from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.score import ranked_by, recorded, run_scores, told
from mechsteer.corpus import ParallelCorpus
from mechsteer.experts.scores import Experts
from mechsteer.experts.significance import significance_of
from mechsteer.options.ranking import DEFAULT_RANKING, Ranking


def significance_command(
    path: Path,
    language: str,
    level: float,
    how: Ranking = DEFAULT_RANKING,
    *,
    min_effect: float = 1.0,
    draws: int = 1000,
) -> tuple[Experts, Path]:
    """Write the experts with their q as ``RUN/experts/LANGUAGE.qLEVEL.dEFFECT.BY.csv``.

    The recording of the run is read back; languages are permuted within a sentence where its text
    is parallel, freely where it is labelled.
    """
    run = Run.open(path)
    scores = run_scores(run)
    code = scores.name_of(language)
    scores.among(code, how.within)
    file = (
        path / "experts" / f"{as_file_name(code)}.q{level:g}.d{min_effect:g}.{ranked_by(how)}.csv"
    )
    with locked(path):
        _, dev, recording = recorded(run)
        parallel = isinstance(dev, ParallelCorpus)
        with run.timed("significance"):
            found = significance_of(
                recording,
                code,
                level=level,
                by=how.by,
                within=how.within,
                parallel=parallel,
                draws=draws,
            )
        experts = found.experts(scores, min_effect=min_effect)
        table = told(experts.table(), scores).assign(q=found.q[experts.index].numpy())
        write_bytes(file, table.to_csv(index=False).encode())
    return experts, file
