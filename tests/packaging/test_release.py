"""A release is one: its tag, its version, its changelog and its citation agree."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.packaging.compare_demos import compare_neurons, compare_values
from tests.packaging.release import disagreements


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2027-01-01)\n\n## 1.2.2\n")
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.2.3\n")
    return tmp_path


def test_a_release_agrees_with_its_tag(root: Path) -> None:
    assert disagreements("v1.2.3", root, "1.2.3") == []


@pytest.mark.parametrize("place", ["__version__", "CHANGELOG.md", "CITATION.cff"])
def test_each_place_that_names_another_release_is_told(root: Path, place: str) -> None:
    version = "1.2.2" if place == "__version__" else "1.2.3"
    if version == "1.2.3":
        file = root / place
        file.write_text(file.read_text().replace("1.2.3", "Unreleased"))
    (found,) = disagreements("v1.2.3", root, version)
    assert place in found
    assert "expected 1.2.3" in found


def test_a_release_has_its_date(root: Path) -> None:
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (unreleased)\n")
    assert disagreements("v1.2.3", root, "1.2.3")


def results(values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"edit": "clamp", "layer": range(len(values)), "value": values, "ci_low": 0.0, "n": 64}
    )


def test_demos_agree_up_to_rounding_and_a_sentence_that_changes_sides() -> None:
    values = [0.25] * 100
    assert compare_values(results(values), results(values)[::-1]) == []
    assert compare_values(results(values), results([0.25 + 2 / 64, *values[1:]])) == []


@pytest.mark.parametrize(
    "other",
    [[0.25 + 3 / 64] + [0.25] * 99, [0.25 + 1 / 64] * 5 + [0.25] * 95, [0.25] * 99],
    ids=["one far off", "many a little off", "a row less"],
)
def test_demos_that_differ_by_more_are_told_apart(other: list[float]) -> None:
    assert compare_values(results([0.25] * 100), results(other))


def test_demos_choose_nearly_the_same_neurons() -> None:
    chosen = pd.DataFrame({"language": "fra_Latn", "layer": 0, "neuron": range(200)})
    assert compare_neurons(chosen, chosen.assign(neuron=range(1, 201))) == []
    assert compare_neurons(chosen, chosen.assign(neuron=range(10, 210)))
