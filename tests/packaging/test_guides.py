"""What the guides quote is there: messages and pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guide"


def _texts() -> str:
    """Every string of the package, parts of f-strings in a row."""
    found = []
    for file in (ROOT / "mechsteer").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_messages_that_troubleshooting_quotes_are_said() -> None:
    page = (GUIDES / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = [
        part
        for row in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
        for part in re.findall(r"`([^`]+)`", row)
    ]
    said = _texts()
    assert len(quoted) > 15
    assert not [part for part in quoted if part not in said]


def test_every_guide_is_in_the_contents() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [page.stem for page in GUIDES.glob("*.md") if f"guide/{page.stem}\n" not in index]
