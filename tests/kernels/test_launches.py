from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("triton", reason="without Triton there is nothing to launch")

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "kernels").rglob("*.py"))
TRITON_MODULES = [
    f"{path.parent.name}.{path.stem}" for path in SOURCES if path.stem.endswith("_triton")
]


def table(module: str) -> dict[Any, Any]:
    return getattr(importlib.import_module(f"mechsteer.kernels.{module}"), "LAUNCHES", {})


def source(module: str) -> Path:
    return ROOT / "kernels" / f"{module.replace('.', '/')}.py"


def test_the_launch_table_holds_at_most_forty_forms():
    assert 0 < sum(len(table(module)) for module in TRITON_MODULES) <= 40


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_only_the_launch_module_imports_triton(path):
    tree = ast.parse(path.read_text())
    absolute = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 0]
    names = [node.module for node in absolute]
    names += [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    assert path.stem == "triton_launch" or not any(
        (name or "").startswith("triton") for name in names
    )


@pytest.mark.parametrize("module", TRITON_MODULES)
def test_no_kernel_is_started_but_by_its_table(module):
    tree = ast.parse(source(module).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Subscript)]


@pytest.mark.parametrize("module", TRITON_MODULES)
def test_every_form_is_made_when_the_module_is_imported(module):
    tree = ast.parse(source(module).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    made = [
        call.lineno
        for function in functions
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"Launch", "replace"}
    ]
    assert not made


@pytest.mark.parametrize("module", TRITON_MODULES)
def test_every_form_names_each_argument_of_its_kernel_once(module):
    for launch in table(module).values():
        names = launch.kernel.arg_names
        pointers = [name for name in names if name.endswith("_ptr")]
        constants = [name for name in names if name.isupper()]
        assert list(launch.pointers) == pointers and set(launch.constants) == set(constants)
        assert set(launch.unit) <= set(names) - set(pointers) - set(constants)
        assert set(launch.dtypes) <= {"bf16", "fp16", "fp32"} and launch.dtypes


def aot() -> ModuleType:
    """What ``make aot`` runs; compiled kernels are not made in a process that interprets them."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("kernels are interpreted here")
    return importlib.import_module("benchmarks.aot")


def test_every_integer_is_also_compiled_as_the_constant_one() -> None:
    found = aot()
    for module in TRITON_MODULES:
        cases = list(found.cases(module))
        for key, launch in table(module).items():
            forms = {case.form for case in cases if case.key == key}
            integers = set(launch.kernel.arg_names) - {*launch.constants, *launch.pointers}
            assert {"fast", "any", "one", *(f"{name}=1" for name in integers)} == forms


@pytest.mark.parametrize("form", ["n_positives=1", "n_negatives=1", "n_rows=1", "one"])
def test_a_launch_with_one_positive_or_negative_compiles(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = aot()
    monkeypatch.setattr(found.triton.runtime.driver, "_active", None)  # and back afterwards
    found.translate(found.Case("labelings.one_set_triton", 10, "bf16", form, 90))
