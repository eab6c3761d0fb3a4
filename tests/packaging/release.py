"""Whether a tag names the release that the package, the changelog and the citation name.

python -m tests.packaging.release v1.2.3
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mechsteer import __version__

ROOT = Path(__file__).resolve().parents[2]


def disagreements(tag: str, root: Path = ROOT, version: str = __version__) -> list[str]:
    """What names another release than ``tag``, such as ``v1.2.3``; the changelog with its date."""
    wanted = tag.removeprefix("v")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    heading = re.search(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$|^## .*$", changelog, re.M)
    cited = re.search(r"^version: (.+)$", citation, re.M)
    found = {
        "mechsteer.__version__": version,
        "the newest heading of CHANGELOG.md": (heading[1] or heading[0]) if heading else "",
        "CITATION.cff": cited[1] if cited else "",
    }
    return [f"{place}: expected {wanted}, got {it}" for place, it in found.items() if it != wanted]


if __name__ == "__main__":
    sys.exit("\n".join(disagreements(sys.argv[1])))
