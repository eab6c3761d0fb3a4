from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechsteer.artifacts import atomic
from mechsteer.artifacts import files as artifacts
from mechsteer.artifacts.runs import Run
from mechsteer.errors import ArtifactError


def test_a_run_is_taken_up_only_with_equal_inputs(tmp_path: Path) -> None:
    Run.create(tmp_path, {"k": 1, "model": "a"}, languages=["fra_Latn"])
    assert (
        Run.create(tmp_path, {"k": 1, "model": "a"}, languages=["fra_Latn"]).manifest["stages"]
        == {}
    )
    with pytest.raises(ArtifactError, match=r"other inputs \(model: 'a' ≠ 'b'\)"):
        Run.create(tmp_path, {"k": 1, "model": "b"}, languages=["fra_Latn"])


def test_a_changed_file_of_a_finished_stage_is_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {}, languages=[])
    atomic.write_bytes(tmp_path / "scores", b"right")
    run.finish("score", files=["scores"], facts=3)
    assert Run.open(tmp_path).stage("score")["facts"] == 3
    assert run.is_done("score")
    (tmp_path / "scores").write_bytes(b"wrong")
    assert not run.is_done("score")
    with pytest.raises(ArtifactError, match="was changed"):
        run.stage("score")


def test_an_unfinished_stage_and_a_newer_schema_are_refused(tmp_path: Path) -> None:
    run = Run.create(tmp_path, {}, languages=[])
    with pytest.raises(ArtifactError, match="no finished stage 'study'"):
        run.stage("study")
    artifacts.write_signed(tmp_path / "manifest.json", run.manifest | {"schema": 99})
    with pytest.raises(ArtifactError, match="schema 99"):
        Run.open(tmp_path)


def test_no_run_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="mechsteer score MODEL"):
        Run.open(tmp_path / "nothing")


def test_stages_that_finish_beside_each_other_are_both_kept(tmp_path: Path) -> None:
    one = Run.create(tmp_path, {}, languages=[])
    other = Run.open(tmp_path)
    other.finish("cards")
    one.finish("study")
    assert set(Run.open(tmp_path).manifest["stages"]) == {"cards", "study"}
    assert not list(tmp_path.glob("*part*"))


@settings(max_examples=200, deadline=None)
@given(bit=st.integers(0, 10**6))
def test_no_flipped_bit_of_a_manifest_is_accepted(tmp_path_factory, bit: int) -> None:
    path = tmp_path_factory.mktemp("run")
    run = Run.create(path, {"corpus": "flores200", "limit": 5}, languages=["fra_Latn"])
    run.finish("score", counts=[5, 5])
    file = path / "manifest.json"
    data = bytearray(file.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    file.write_bytes(data)
    try:
        assert Run.open(path).manifest == run.manifest  # white space between values
    except ArtifactError:
        return


@pytest.mark.parametrize(
    "forged",
    [
        {"stages": []},
        {"stages": {"score": None}},
        {"stages": {"score": {"files": ["a"]}}},
        {"stages": {"score": {"files": {"../a": "0"}}}},
        {"stages": {"score": {"files": {"/etc/passwd": "0"}}}},
        {"stages": {"score": {"files": {"a": 3}}}},
        {"inputs": None},
        {"languages": "fra_Latn"},
    ],
    ids=str,
)
def test_a_forged_manifest_is_refused(tmp_path: Path, forged: dict[str, object]) -> None:
    run = Run.create(tmp_path, {}, languages=[])
    artifacts.write_signed(tmp_path / "manifest.json", run.manifest | forged)
    with pytest.raises(ArtifactError, match="no manifest of a run"):
        Run.open(tmp_path)
