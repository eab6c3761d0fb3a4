"""The order of the house: every package imports those below it and none above."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mechsteer"
# from the ground up; packages on one floor know nothing of each other
FLOORS = (
    {"display", "equality", "errors", "machine", "memory", "progress"},
    {"kernels", "options", "ranks"},
    {"artifacts", "corpus", "analysis", "pairwise"},
    {"model", "typology"},
    {"recording"},
    {"experts"},
    {"interventions"},
    {"steering"},
    {"costs", "cards", "selftest"},
    {"studies", "exports", "integrations"},
    {"crosslingual"},
    {"plots"},
    {"reporting"},
    {"throughput"},
    {"planning"},
    {"cli"},
)
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}
ANYWHERE = {"", "__main__"}  # the package's own face and its version


def modules() -> Iterator[tuple[str, Path]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield room(file.relative_to(PACKAGE).with_suffix("").parts), file


def room(parts: tuple[str, ...]) -> str:
    return "" if parts[:1] in ((), ("__init__",)) else parts[0]


def imported(file: Path) -> Iterator[tuple[str, int]]:
    """Rooms of the package that a file imports anywhere in it, with the line."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            own = [f"{node.module}.{alias.name}" for alias in node.names]
            names = own if node.module == "mechsteer" else [node.module or ""]
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            if head == "mechsteer":
                yield (rest[0] if rest and rest[0] in FLOOR else ""), node.lineno


def test_every_room_has_a_floor() -> None:
    assert {name for name, _ in modules()} - ANYWHERE == set(FLOOR)


@pytest.mark.parametrize("name", sorted(FLOOR))
def test_a_room_imports_only_what_is_below_it(name: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {other}"
        for owner, file in modules()
        if owner == name
        for other, line in imported(file)
        if other and other != name and FLOOR[other] >= FLOOR[name]
    ]
    assert not wrong


# the folders of the corpus, in the same order; "" are the corpora themselves
CORPUS = ("names", "formats", "layouts", "labels", "", "tasks")


def test_the_folders_of_the_corpus_import_only_those_before_them() -> None:
    root = PACKAGE / "corpus"
    wrong = []
    for file in root.rglob("*.py"):
        own = CORPUS.index(file.parent.relative_to(root).name)
        for node in ast.walk(ast.parse(file.read_text())):
            module = (isinstance(node, ast.ImportFrom) and node.module) or ""
            if file.name != "__init__.py" and module.startswith("mechsteer.corpus."):
                folder = module.split(".")[2]
                other = CORPUS.index(folder if folder in CORPUS else "")
                wrong += [f"{file.relative_to(ROOT)} imports {module}"] * (other > own)
    assert not wrong


def test_the_kernels_know_nothing_of_the_package() -> None:
    for file in (ROOT / "kernels").rglob("*.py"):
        assert {other for other, _ in imported(file)} <= {"kernels"}, file


def cycle(arrows: dict[str, set[str]]) -> list[str]:
    """Files that import each other in a circle; none, when leaves can be taken away to the end."""
    left = dict(arrows)
    while leaves := [name for name, below in left.items() if not below & left.keys()]:
        for leaf in leaves:
            del left[leaf]
    return sorted(left)


def test_no_files_import_each_other_in_a_circle() -> None:
    files = {
        ".".join(("mechsteer", *file.relative_to(PACKAGE).with_suffix("").parts)): file
        for _, file in modules()
    } | {
        ".".join(("mechsteer", *file.relative_to(ROOT).with_suffix("").parts)): file
        for file in (ROOT / "kernels").rglob("*.py")
    }
    faces = {name for name in files if name.endswith("__init__")}
    arrows: dict[str, set[str]] = {name: set() for name in files.keys() - faces}
    for name in arrows:
        for node in ast.walk(ast.parse(files[name].read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                aliases = {f"{node.module}.{alias.name}" for alias in node.names}
                arrows[name] |= ({node.module} | aliases) & arrows.keys() - {name}
    assert cycle(arrows) == []


@pytest.mark.parametrize("folder", ["mechsteer", "kernels"])
def test_files_stay_short(folder: str) -> None:
    long = {
        str(file.relative_to(ROOT)): count
        for file in (ROOT / folder).rglob("*.py")
        if (count := len(file.read_text().splitlines())) > 250
    }
    assert not long


def mutable_globals(file: Path) -> Iterator[str]:
    """Names that a module binds to something that can change: empty containers and caches."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            value = node.value
            call = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2]
            empty = isinstance(value, (ast.Dict, ast.List, ast.Set)) and not ast.unparse(
                value
            ).strip("{}[]")
            caches = {"WeakKeyDictionary", "WeakValueDictionary", "dict", "list", "set"}
            if empty or (call in caches and not value.args):
                yield f"{file.relative_to(ROOT)}:{node.lineno}"


@pytest.mark.parametrize("folder", ["mechsteer", "kernels"])
def test_no_module_keeps_state(folder: str) -> None:
    kept = [where for file in (ROOT / folder).rglob("*.py") for where in mutable_globals(file)]
    assert not kept
