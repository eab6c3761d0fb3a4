"""What the guides quote is there: messages and pages."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

from click import Context

from mechsteer.cli import cli

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


def _commands() -> list[list[str]]:
    """Command lines of the guides and the README, without what is said of them."""
    pages = [*GUIDES.glob("*.md"), ROOT / "README.md"]
    fences = [
        fence
        for page in pages
        for fence in re.findall(r"^```(\S*)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)
    ]
    blocks = [block for language, block in fences if language in ("", "console")]
    lines = [re.split(r" {3,}[a-z]", line)[0] for block in blocks for line in block.splitlines()]
    typed = [m[1] for line in lines if (m := re.match(r"(?:\$ (?:.* -m )?)?mechsteer (.+)", line))]
    return [shlex.split(line, comments=True) for line in typed]


def test_commands_of_the_guides_have_the_flags_that_they_type() -> None:
    known = {
        name: {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        for name in cli.list_commands(Context(cli))
        if (command := cli.get_command(Context(cli), name))
    }
    commands = _commands()
    assert len(commands) > 40
    wrong = [
        " ".join(["mechsteer", *words])
        for words in commands
        if words[0] not in known
        or not {w for w in words if re.match(r"--?[a-z]", w)} <= known[words[0]]
    ]
    assert not wrong
