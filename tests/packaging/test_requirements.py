"""What is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TypeGuard

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("mechsteer", "kernels")
BESIDE = ("tests", "experiments", "benchmarks", "docs", "setup.py")
OURS = {"mechsteer", "kernels", "tests", "experiments", "benchmarks"}
# modules of other names than their packages, where these are not installed, do not say so or share
# a namespace with others
ALIASES = {"faiss": "faiss-cpu", "sklearn": "scikit-learn", "cuda": "cuda-bindings"}
IMPORTING = ("pytest.importorskip", "needed")
STANDARD = {*sys.stdlib_module_names, "tomllib"}  # which Python 3.10 lacks
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = ("adapters", "cuda", "eval", "gguf", "language", "romanise")  # of the package itself


def name_of(requirement: str) -> str:
    """``pillow`` of ``Pillow[xmp]>=10,<14; python_version > '3.9'``."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def names(requirements: Iterable[str]) -> set[str]:
    return {name_of(requirement) for requirement in requirements} - {"mechsteer"}


@cache
def imported(places: tuple[str, ...]) -> frozenset[str]:
    """Packages that Python files import from, by the names that pip knows, ours left out."""
    files = [file for place in places for file in (ROOT / place, *(ROOT / place).rglob("*.py"))]
    modules = {module for file in files if file.is_file() for module in modules_of(file)}
    siblings = {file.stem for place in BESIDE for file in (ROOT / place).rglob("*.py")}
    known = packages_distributions()
    return frozenset(
        name_of(ALIASES.get(module) or known.get(module, [module])[0])
        for module in modules - OURS - STANDARD
        if module in known or module not in siblings
    )


def modules_of(file: Path) -> set[str]:
    """Top-level modules of a file's absolute imports, wherever in the file they stand.

    ``pytest.importorskip("module")`` and our ``needed("module", "extra")`` import too.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in IMPORTING:
            found |= {str(a.value).partition(".")[0] for a in node.args[:1] if is_text(a)}
    return found


def is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_what_the_package_imports_is_declared() -> None:
    optional = names([package for extra in OPTIONAL for package in EXTRAS[extra]])
    undeclared = imported(SHIPPED) - names(PROJECT["dependencies"]) - optional
    assert not undeclared


def test_what_the_package_declares_is_imported() -> None:
    optional = names([package for extra in OPTIONAL for package in EXTRAS[extra]])
    assert not (names(PROJECT["dependencies"]) | optional) - imported(SHIPPED)


def test_what_stands_beside_the_package_imports_what_some_extra_declares() -> None:
    extras = [requirement for extra in EXTRAS.values() for requirement in extra]
    known = names(PROJECT["dependencies"]) | names(extras)
    assert not imported(BESIDE) - known


def test_every_package_of_an_extra_is_imported_or_named_as_a_tool() -> None:
    used = imported(SHIPPED) | imported(BESIDE)
    places = ("Makefile", "docs/conf.py", "CONTRIBUTING.md", ".pre-commit-config.yaml")
    text = "\n".join((ROOT / place).read_text(encoding="utf-8") for place in places)
    declared = names(requirement for extra in EXTRAS.values() for requirement in extra)
    tools = {name for name in declared - used if not is_stubs_of(name, used)}
    unnamed = {name for name in tools if not re.search(rf"\b{name.replace('-', '[-_]')}\b", text)}
    assert not unnamed


def is_stubs_of(name: str, used: frozenset[str]) -> bool:
    return name.removeprefix("types-").removesuffix("-stubs") in used - {name}


def test_every_requirement_is_bounded_from_below_and_above() -> None:
    extras = [requirement for extra in EXTRAS.values() for requirement in extra]
    for requirement in (*PROJECT["dependencies"], *extras):
        bounds = requirement.partition(";")[0]
        assert name_of(requirement) == "mechsteer" or (">=" in bounds and "<" in bounds), (
            f"{requirement} is not bounded"
        )


def test_transformers_stays_below_the_release_whose_cache_corrupts_generation() -> None:
    (bounds,) = [r for r in PROJECT["dependencies"] if name_of(r) == "transformers"]
    assert bounds.endswith("<5.24")


def test_the_constraints_lie_within_the_bounds() -> None:
    from packaging.requirements import Requirement

    declared = [r for extra in (PROJECT["dependencies"], *EXTRAS.values()) for r in extra]
    bounds = {name_of(r): Requirement(r).specifier for r in declared}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for line in filter(None, (line.partition("#")[0].strip() for line in lines)):
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        assert pin.version in bounds[name_of(line)] if name_of(line) in bounds else True, line
