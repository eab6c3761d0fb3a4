"""What the guide says of other libraries runs: its blocks, one section at a time.

Sections whose library is not installed are skipped; ``make recipes`` installs them all.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "use-with.md"
NEEDED = {
    "TransformerLens": "transformer_lens",
    "transformers: generate and pipeline": "transformers",
    "sentence-transformers": "sentence_transformers",
    "lm-evaluation-harness": "lm_eval",
    "MTEB": "mteb",
    "nnsight": "nnsight",
}


def _sections() -> dict[str, list[str]]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    texts = {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return {name: re.findall(r"```python\n(.*?)```", text, re.S) for name, text in texts.items()}


@pytest.fixture(scope="module")
def start() -> dict[str, Any]:
    """What the page begins with."""
    names: dict[str, Any] = {}
    for block in _sections()[""]:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.mark.parametrize("section", [name for name in _sections() if name])
def test_a_section_runs_as_it_stands(
    section: str, start: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(NEEDED[section], reason="make recipes installs it")
    monkeypatch.chdir(tmp_path)
    blocks, names = _sections()[section], dict(start)
    assert blocks
    for number, block in enumerate(blocks):
        file = tmp_path / f"block_{number}.py"  # nnsight reads the source of its own blocks
        file.write_text(block, encoding="utf-8")
        exec(compile(block, str(file), "exec"), names)
