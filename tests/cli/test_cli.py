"""The command line as a person uses it: exit codes, one-line errors, and a run from end to end."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

COMMAND = [sys.executable, "-m", "mechsteer"]
ENV = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": "160"}


def mechsteer(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, env=ENV, check=False)
    assert done.returncode == code, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of three languages, studied and reported."""
    path = tmp_path_factory.mktemp("cli") / "run"
    languages = "eng_Latn,fra,jpn_Jpan"
    mechsteer(
        "score", "embedded", "--corpus", "embedded", "--split", "dev",
        "--languages", languages, "-o", str(path),
    )  # fmt: skip
    mechsteer(
        "study", str(path), "--test", "embedded", "--split", "test",
        "--targets", "fra", "--k", "20,0.05", "--seeds", "2",
    )  # fmt: skip
    mechsteer("cards", str(path), "--neurons", "1:5", "--top", "1")
    mechsteer("report", str(path))
    return path


def test_help_takes_under_half_a_second() -> None:
    mechsteer("--help")  # compiles the bytecode
    best = min(_seconds("--help") for _ in range(5))
    assert best < 0.5, f"--help took {best:.2f} s"


def _seconds(*args: str) -> float:
    """Processor time of a command: what it takes on a machine that does nothing else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    mechsteer(*args)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "command", ["demo", "score", "select", "study", "cards", "report", "check", "bench"]
)
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage:" in mechsteer(command, "--help").stdout


def test_wrong_usage_exits_with_2() -> None:
    mechsteer("score", code=2)
    mechsteer("study", "RUN", "--test", "x", "--k", "many", code=2)
    mechsteer("nonsense", code=2)


def test_a_refused_input_is_one_line_and_exits_with_1(tmp_path: Path) -> None:
    for args in (
        ("report", str(tmp_path)),
        ("check", "/no/such/folder"),
        ("score", "embedded", "--corpus", "/no/such/folder", "-o", str(tmp_path / "r")),
        ("score", "embedded", "--corpus", "embedded", "--split", "dev", "--languages", "fra,frx",
         "-o", str(tmp_path / "r")),
    ):  # fmt: skip
        done = mechsteer(*args, code=1)
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in mechsteer("--debug", "report", str(tmp_path), code=1).stderr


def test_check_tests_the_model_and_speaks_json() -> None:
    found = json.loads(mechsteer("check", "embedded", "--site", "post", "--json").stdout)
    assert found["verdict"] == "ok"
    assert [(row["layers"], row["width"]) for row in found["sites"]] == [("0-5", 768)]
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["hooks: post"]["difference"] == 0
    assert by_name["generation, edited"]["verdict"] == "ok"


def test_check_exits_with_1_where_a_site_is_refused() -> None:
    done = mechsteer("check", "embedded", "--site", "experts", code=1)
    assert "no layer of LlamaForCausalLM has neurons of site 'experts'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_quick_bench_speaks_json_and_prints_a_table() -> None:
    rows = json.loads(mechsteer("bench", "--quick", "--json").stdout)
    assert {"score", "labelings", "neighbours"} <= {row["op"] for row in rows}
    shown = mechsteer("bench", "--quick").stdout
    assert "x floor" in shown and "GFLOP/s" in shown


def test_a_run_holds_what_the_manifest_says(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["languages"] == ["eng_Latn", "fra_Latn", "jpn_Jpan"]
    assert set(manifest["stages"]) == {"score", "study", "cards"}
    results = pd.read_parquet(run / "results.parquet")
    assert set(results["kind"]) == {
        "base",
        "edit",
        "random",
        "centring",
        "dimensions",
        "standardisation",
    }
    assert {"retrieval_top1", "mexa", "distance_pairs"} <= set(results["metric"])
    assert results["value"].notna().all()


def test_a_finished_run_is_taken_up_and_ends_in_the_same_bytes(run: Path) -> None:
    files = ["manifest.json", "results.parquet", "experts.parquet", "report.html"]
    before = [(run / file).read_bytes() for file in files]
    mechsteer(
        "study", str(run), "--test", "embedded", "--split", "test",
        "--targets", "fra", "--k", "20,0.05", "--seeds", "2",
    )  # fmt: skip
    mechsteer("report", str(run))
    assert [(run / file).read_bytes() for file in files] == before


def test_the_page_links_tables_that_are_there(run: Path) -> None:
    links = re.findall(r'href="([^"#:]+)"', (run / "report.html").read_text())
    assert {"results.parquet", "doses.parquet", "cards.tokens.parquet"} <= set(links)
    for link in links:
        assert (run / link).is_file()


def test_a_page_elsewhere_brings_its_tables(run: Path, tmp_path: Path) -> None:
    mechsteer("report", str(run), "-o", str(tmp_path / "page.html"))
    for table in ("results", "overlap", "cards.neurons"):
        copy = pd.read_parquet(tmp_path / f"page.{table}.parquet")
        pd.testing.assert_frame_equal(copy, pd.read_parquet(run / f"{table}.parquet"))


def test_study_and_report_end_in_the_verdict_and_the_effects(run: Path) -> None:
    shown = mechsteer("report", str(run)).stdout
    assert "top experts of fra_Latn" in shown
    assert "random neurons in the same layers" in shown
    assert {"clamp", "random", "centring", "top-1", "mexa"} <= set(shown.split())


def test_cards_are_listed_with_what_they_write(run: Path) -> None:
    shown = mechsteer("cards", str(run), "--neurons", "1:5", "--top", "1").stdout
    neurons = pd.read_parquet(run / "cards.neurons.parquet")
    assert len(neurons) == 2
    assert "promotes" in shown
    assert "fra_Latn" in shown


def test_a_neuron_that_is_not_there_is_refused(run: Path) -> None:
    stderr = mechsteer("cards", str(run), "--neurons", "99:1", code=1).stderr
    assert "has no neurons 99:1" in stderr


def test_other_inputs_do_not_overwrite_a_run(run: Path) -> None:
    done = mechsteer(
        "score", "embedded", "--corpus", "embedded", "--split", "test", "-o", str(run), code=1
    )
    assert "other inputs" in done.stderr
    assert "split" in done.stderr


def test_selected_experts_open_as_csv(run: Path) -> None:
    mechsteer("select", str(run), "--language", "ja", "--k", "0.01")
    (file,) = (run / "experts").glob("jpn_Jpan.*.csv")
    table = pd.read_csv(file)
    assert table["ap"].is_monotonic_decreasing
    assert {"layer", "neuron", "auroc", "median"} <= set(table.columns)


def test_significant_experts_are_selected_from_the_run(run: Path) -> None:
    done = mechsteer(
        "select", str(run), "--language", "ja", "--fdr", "0.05", "--min-effect", "2",
        "--draws", "200",
    )  # fmt: skip
    assert "permuted within each sentence" in done.stdout
    table = pd.read_csv(run / "experts" / "jpn_Jpan.q0.05.d2.ap.csv")
    assert len(table) > 10
    assert (table["effect_size"].abs() >= 2).all()
    assert (table["q"] <= 0.05).all()
    assert table["ap"].is_monotonic_decreasing


def test_select_takes_k_or_a_false_discovery_rate_and_not_both(run: Path) -> None:
    both = ("--k", "5", "--fdr", "0.05")
    for options in ((), both):
        done = mechsteer("select", str(run), "--language", "ja", *options, code=2)
        assert "either --k or --fdr" in done.stderr


def test_an_interrupted_run_says_so_and_resumes(tmp_path: Path, run: Path) -> None:
    args = [
        "score", "embedded", "--corpus", "embedded", "--split", "dev",
        "--languages", "eng_Latn,fra,jpn_Jpan", "-o", str(tmp_path / "run"),
    ]  # fmt: skip
    # a parent in the background may ignore Ctrl-C, and its children would inherit that
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = [sys.executable, "-c", heard + "from mechsteer.cli import main; main()"]
    child = subprocess.Popen([*start, *args], stderr=subprocess.PIPE, text=True, env=ENV)
    shards = tmp_path / "run" / "recording"
    while child.poll() is None and not list(shards.glob("*.safetensors")):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode == 1, "finished before it could be interrupted"
    assert "takes up where it stopped" in errors
    mechsteer(*args)
    again = (tmp_path / "run" / "scores.safetensors").read_bytes()
    assert again == (run / "scores.safetensors").read_bytes()
