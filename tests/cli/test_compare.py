"""``mechsteer compare``: what runs are called, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mechsteer.cli.do.compare import _names


def test_runs_are_called_by_as_many_folders_as_tell_them_apart() -> None:
    assert _names([Path("a/x"), Path("b/y")]) == ["x", "y"]
    assert _names([Path("a/run"), Path("b/run"), Path("c")])[:2] == ["a/run", "b/run"]


@pytest.mark.parametrize("given", [["a"], ["a", "a"], ["a", "./a"]])
def test_fewer_than_two_different_runs_are_refused(
    mechsteer: Callable[..., str], given: list[str]
) -> None:
    said = mechsteer("compare", *given, code=1)
    assert said.startswith("error: expected two or more different run folders, got")


def test_a_folder_that_is_no_run_is_refused(mechsteer: Callable[..., str], tmp_path: Path) -> None:
    said = mechsteer("compare", str(tmp_path / "a"), str(tmp_path / "b"), code=1)
    assert "expected a run folder at" in said
    assert not (tmp_path / "a").exists()
