"""Files that tests write, and what they hold."""

from __future__ import annotations

import json
from pathlib import Path

FRENCH, GERMAN = ("Bonjour.", "Merci."), ("Hallo.", "Danke.")
BOTH = {"deu_Latn": GERMAN, "fra_Latn": FRENCH}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Write every file of ``files`` by its name, relative to ``folder``."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def json_lines(*rows: object) -> str:
    """One JSON value a line."""
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def flores_plus(code: str, *texts: str) -> list[dict[str, object]]:
    """Rows as FLORES+ has them; ``code`` is ``iso_639_3``, ``iso_15924`` and ``glottocode``."""
    language, script, glottocode = code.split("_")
    names = {"iso_639_3": language, "iso_15924": script, "glottocode": glottocode}
    more = {"split": "dev", "url": "https://en.wikinews.org/", "topic": "science"}
    return [{"id": i, **names, "text": text, **more} for i, text in enumerate(texts)]
