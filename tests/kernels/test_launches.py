from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "edits.backend_triton",
        "labelings.one_set_triton",
        "neighbours.backend_triton",
        "pooling.backend_triton",
        "streaming.negative_counts_triton",
        "top_experts.backend_triton",
    ],
)
def test_every_form_compiles_for_every_gpu_without_spills(module):
    triton = pytest.importorskip("triton")
    if Version(triton.__version__) < Version("3.9"):
        pytest.skip("the forms are tuned for Triton 3.9, which `make aot` compiles them with")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "benchmarks/aot.py", module],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
