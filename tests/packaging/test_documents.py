"""What the documents for strangers say of the tree is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = re.compile(
    r"https://(?:raw\.githubusercontent|github)\.com/mechsteer/mechsteer/(?:(?:blob|tree)/)?main/"
    r"([^)#\s]+)"
)
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "pyproject.toml")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_to_the_repository_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    gone = [path for path in OURS.findall(text) if not (ROOT / path.rstrip('"')).exists()]
    assert not gone


def test_links_of_the_readme_are_absolute_so_that_they_work_on_pypi() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert not [link for link in links if not link.startswith("https://")]


def test_the_readme_is_a_screen_and_a_half() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_the_files_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(
        r"`((?:mechsteer|kernels|tests|experiments|benchmarks|\.github)/[^`\s]*)`", text
    )
    paths = [path for path in paths if not re.search(r"[A-Z]{4}|mechsteer/mechsteer", path)]
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_commands_that_contributing_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"(?:`|\$ (?:[A-Z_]+=\S+ )?)make ([^`#\n]+)", text)
    asked = {word for command in commands for word in command.split() if "=" not in word}
    assert {"demo", "test", "data", "resolve", "elsewhere", "newest"} <= asked
    assert not asked - set(re.findall(r"^([a-z]+):", makefile, re.M))
