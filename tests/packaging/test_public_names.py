"""What ``import mechsteer`` offers: few names, listed once, nothing heavy until one is used."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mechsteer as ms

STUB = Path(ms.__file__).with_suffix(".pyi")
PACKAGES = sorted(m.name for m in pkgutil.iter_modules(ms.__path__) if m.ispkg)
# behind commands and records, or data
INTERNAL = {"cli", "options", "throughput", "embedded"}


def named() -> dict[str, str]:
    """Each name that the stub lists, with the module it comes from."""
    lines = ast.parse(STUB.read_text()).body
    imports = [line for line in lines if isinstance(line, ast.ImportFrom)]
    return {alias.name: line.module or "" for line in imports for alias in line.names}


def test_names_are_those_of_the_stub_and_each_is_what_its_package_has() -> None:
    assert sorted(ms.__all__) == sorted(named())
    for name, home in named().items():
        expected = (
            getattr(importlib.import_module(f"mechsteer.{home}"), name)
            if home
            else importlib.import_module(f"mechsteer.{name}")
        )
        assert getattr(ms, name) is expected


def test_every_package_is_reachable_and_the_verbs_are_few() -> None:
    assert set(PACKAGES) - INTERNAL == {name for name, home in named().items() if not home}
    assert 20 <= sum(1 for home in named().values() if home) <= 32


@pytest.mark.parametrize("package", [p for p in PACKAGES if p not in INTERNAL])
def test_what_a_package_offers_is_there(package: str) -> None:
    module = importlib.import_module(f"mechsteer.{package}")
    assert (module.__doc__ or "").strip()
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None


def test_an_unknown_name_says_so() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ms.no_such_name


@pytest.mark.parametrize("statement", ["import mechsteer", "import mechsteer.cli"])
def test_importing_pulls_in_nothing_heavy(statement: str) -> None:
    heavy = "{'torch', 'transformer_lens', 'transformers', 'pandas', 'numba', 'matplotlib'}"
    code = f"import sys; {statement}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
