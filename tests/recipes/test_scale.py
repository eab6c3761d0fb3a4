"""The recipes for several GPUs and for Slurm, on processors: two ranks and three, equal bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("MECHSTEER_RECIPES" not in os.environ, reason="a minute: make recipes"),
]
ROOT = Path(__file__).parents[2]
SCALE = ROOT / "experiments" / "scale"
TEXT = "--languages eng_Latn,fra_Latn --limit 5"
STUDY = "--limit 5 --targets fra_Latn --k 9 --seeds 1"
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
exec "$@"
"""


@pytest.fixture
def slurm(tmp_path: Path) -> Path:
    """A folder with a ``srun`` that runs its command here."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "srun").write_text(SRUN)
    (folder / "srun").chmod(0o755)
    return folder


def run(recipe: str, folder: Path, tools: Path, **more: str) -> dict[str, bytes]:
    """Every file of the run but its log and report, by its place."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    env |= {"MODEL": "embedded", "CORPUS": "embedded", "TEST": "test", "RUN": str(folder)}
    env |= {"SCORE": TEXT, "STUDY": STUDY, "PATH": f"{tools}{os.pathsep}{env['PATH']}", **more}
    command = ["bash", str(SCALE / recipe)]
    done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    kept = ("run.log", "weights.json")  # times
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.name not in kept}


def test_both_recipes_end_in_the_same_bytes(tmp_path: Path, slurm: Path) -> None:
    two = run("several_gpus.sh", tmp_path / "two", slurm, RANKS="2")
    three = run("cluster.sbatch", tmp_path / "three", slurm, RANKS="3", PORT="29517")
    assert "report.html" in two and "results.parquet" in two
    assert {name for name in two if two[name] != three.get(name)} == set()
    log = (tmp_path / "three" / "run.log").read_text()
    assert "rank 2 of 3" in log
