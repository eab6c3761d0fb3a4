"""Run the guide's gallery and draw its pictures: ``python -m tests.packaging.gallery``.

Blocks of ``docs/guide/gallery.md`` run in order; the axes that a block ends in become the picture
below it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "gallery.md"
STYLE = {"svg.hashsalt": "mechsteer", "svg.fonttype": "none"}
_PARTS = re.compile(r"```python\n(.*?)```(?:\n\n!\[[^\]]+\]\((\S+)\))?", re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Code of every block, and the address of its picture, if it has one."""
    return _PARTS.findall(PAGE.read_text(encoding="utf-8"))


def drawn(names: dict[str, Any], parts: list[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """The address and the axes of every picture, blocks run one after the other in ``names``."""
    for code, picture in parts:
        last = _run(code, names)
        if picture:
            yield picture, last[0] if isinstance(last, list) else last


def main() -> None:
    """Draw every picture of the page."""
    with mpl.rc_context(STYLE):
        for picture, axes in drawn({}, blocks()):
            path = PAGE.parent / picture
            path.parent.mkdir(exist_ok=True)
            axes.figure.savefig(path, metadata={"Date": None, "Creator": None})


def _run(code: str, names: dict[str, Any]) -> Any:
    """What a block's last line comes to, if it is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(PAGE), "exec"), names)
    return None if last is None else eval(ast.unparse(last), names)


if __name__ == "__main__":
    main()
