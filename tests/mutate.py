"""Do the tests notice a change? Random small faults, one at a time, each put to the tests.

    python -m tests.mutate analysis studies --sample 40 --seed 0

A fault is one token that means something else: a comparison turned, a sum made a difference, a
number one larger, a truth denied. It is killed when a test of ``tests/PACKAGE`` fails, and survives
when all pass. Equivalent faults survive too, so that 100 % is not to be had: read the survivors.
Works on a copy; heavy libraries are imported once and every fault runs in a fork.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("mechsteer", "kernels", "tests", "experiments", "pyproject.toml")
TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """A place in a file and what stands there instead."""

    file: Path
    line: int
    start: int
    end: int
    old: str
    new: str

    def applied(self, source: str) -> str:
        """The source with the fault."""
        data = source.encode()
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


def faults(file: Path) -> Iterator[Fault]:
    """Every fault of a file, in its order; none in annotations, types and docstrings."""
    source = (ROOT / file).read_text(encoding="utf-8")
    starts = [0]
    for text in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                setattr(node, name, None)
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in inside:  # whose places Python 3.11 does not know
            continue
        if (old := ast.get_source_segment(source, node)) and (new := _turned(node)):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            yield Fault(file, node.lineno, start, end, old, new)


def _turned(node: ast.AST) -> str | None:
    """The node's text with one thing changed; None for nodes that are left alone."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in TURNED:
        ops = [TURNED[type(node.ops[0])](), *node.ops[1:]]
        return f"({ast.unparse(ast.Compare(node.left, ops, node.comparators))})"
    if isinstance(node, ast.BinOp) and type(node.op) in TURNED:
        return f"({ast.unparse(ast.BinOp(node.left, TURNED[type(node.op)](), node.right))})"
    if isinstance(node, ast.BoolOp):
        return f"({ast.unparse(ast.BoolOp(TURNED[type(node.op)](), node.values))})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return f"({ast.unparse(node.operand)})"
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return repr(not node.value if isinstance(node.value, bool) else node.value + 1)
    return None


def survives(fault: Fault, tests: list[str], copy: Path, limit: float) -> bool:
    """Whether all tests pass with the fault, in a fork of this process; too slow is noticed."""
    target = copy / fault.file
    source = target.read_text(encoding="utf-8")
    target.write_text(fault.applied(source), encoding="utf-8")
    try:
        return _status(_forked(copy, tests), limit) == 0
    finally:
        target.write_text(source, encoding="utf-8")


def _forked(copy: Path, tests: list[str]) -> int:
    """A child that runs the tests of a copy and ends with their exit code."""
    child = os.fork()
    if child == 0:
        os._exit(_passes(copy, tests))
    return child


def _passes(copy: Path, tests: list[str]) -> int:
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.chdir(copy)
    sys.dont_write_bytecode = True
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", str(ROOT)))]
    options = ["-x", "-q", "-m", "not slow and not browser", "-p", "no:cacheprovider"]
    return int(pytest.main([*options, *tests]))


def _status(child: int, limit: float) -> int:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def main() -> None:
    """Put a sample of faults to the tests and print each that survives, then the score."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("packages", nargs="+", help="for example analysis studies")
    parser.add_argument("--sample", type=int, default=60, help="faults tried in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=300, help="seconds that a fault may take")
    parser.add_argument("--tests", nargs="*", help="instead of tests/PACKAGE")
    options = parser.parse_args()
    every = [
        fault
        for package in options.packages
        for file in sorted((ROOT / "mechsteer" / package).rglob("*.py"))
        for fault in faults(file.relative_to(ROOT))
    ]
    tried = random.Random(options.seed).sample(every, min(options.sample, len(every)))
    for heavy in ("torch", "pandas", "scipy.stats", "sklearn.linear_model", "transformer_lens"):
        __import__(heavy)
    killed, tests = 0, options.tests or [f"tests/{package}" for package in options.packages]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            put = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            put(ROOT / name, copy / name)
        if _status(_forked(copy, tests), options.limit * len(tests)):
            sys.exit("the tests fail, or take too long, without any fault")
        for number, fault in enumerate(tried, 1):
            own = options.tests or [f"tests/{fault.file.parts[1]}"]
            alive = survives(fault, own, copy, options.limit)
            killed += not alive
            what = f"{fault.file}:{fault.line}: {fault.old!r} -> {fault.new!r}"
            print(f"{number:3d} {'SURVIVES' if alive else 'killed  '} {what}", flush=True)  # noqa: T201
    print(f"killed {killed} of {len(tried)} ({killed / len(tried):.0%}), of {len(every)} in all")  # noqa: T201


if __name__ == "__main__":
    main()
