"""All languages of FLORES-200 through one model: peak memory, and scoring beside recording.

Runs ``mechsteer score`` as a person would, then selects the experts of every language, each in a
process of its own, and tells what they took.

    python -m experiments.scale.flores data/flores200 --memory 4GB -o RUN
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SELECT = """
import sys
from pathlib import Path
from mechsteer.artifacts.runs import Run
from mechsteer.cli.do.score import run_scores, select_command
run = Path(sys.argv[1])
for language in run_scores(Run.open(run)).languages:
    select_command(run, language, 100)
"""


def timed(words: list[str]) -> dict[str, Any]:
    """Run a command of Python; seconds by the clock and of the processor."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.perf_counter() - started, 3), "cpu_seconds": round(cpu, 3)}


def written(run: Path) -> dict[str, float]:
    """Seconds from the plan to the last shard, and from there to the scores, by the files."""
    shards = [path.stat().st_mtime for path in (run / "recording").glob("*.safetensors")]
    plan = (run / "recording" / "plan.json").stat().st_mtime
    scores = (run / "scores.safetensors").stat().st_mtime
    recording, scoring = max(shards) - plan, scores - max(shards)
    share = {"scoring_share": round(scoring / recording, 3)} if recording > 0 else {}
    found = {"recording": round(recording, 1), "scoring": round(scoring, 1)}
    return found | {"shards": len(shards)} | share


def main() -> None:
    """Score, select, and print what it took as JSON."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("corpus")
    asked.add_argument("--model", default="embedded")
    asked.add_argument("--split", default="dev")
    asked.add_argument("--limit", default=None, help="only the first N sentences of each language")
    asked.add_argument("--memory", default="4GB")
    asked.add_argument("-o", "--output", type=Path, required=True)
    given = asked.parse_args()
    limit = ["--limit", given.limit] if given.limit else []
    words = ["-m", "mechsteer", "score", given.model, "--corpus", given.corpus]
    words += ["--split", given.split, "--truncate", "--memory", given.memory, *limit]
    found: dict[str, Any] = {"score": timed([*words, "-o", str(given.output)])}
    found["select"] = timed(["-c", SELECT, str(given.output)])
    found |= written(given.output)
    found["peak_bytes"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
