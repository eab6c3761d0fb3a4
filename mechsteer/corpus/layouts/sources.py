"""What a source of text is, from its name: a file, a folder, a dataset of the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from mechsteer.corpus.formats.packed import suffix_of
from mechsteer.corpus.formats.table import SUFFIXES
from mechsteer.corpus.layouts.files import require_format
from mechsteer.corpus.layouts.folders import set_of
from mechsteer.corpus.layouts.pairs import holds_pairs
from mechsteer.errors import CorpusError

EMBEDDED = Path(__file__).parents[2] / "embedded" / "sentences"
"""The sentences shipped with the package."""

# ASCII, as the hub has it: neither part begins or ends in . or -, and none holds -- or ..
_HUB_PART = r"\w+(?:[.-]\w+)*"
_HUB_NAME = re.compile(rf"{_HUB_PART}/{_HUB_PART}(?<!\.git)(:{_HUB_PART})?", re.ASCII)

Kind = Literal["hub", "pair", "table", "side", "folder"]


def kind_of(source: str | Path) -> Kind:
    """How a source is read: a path that exists is never taken for a dataset of the hub.

    Raises:
        CorpusError: It is neither there nor spelt like a dataset, ``owner/name[:config]``; a file
            whose suffix says that it holds no plain sentences.
    """
    if not _exists(source) and set_of(Path(source)):
        return "side"
    if not _exists(source) and _HUB_NAME.fullmatch(str(source)):
        return "hub"
    path = existing(source)
    if holds_pairs(path):
        return "pair"
    if path.is_dir():
        return "folder"
    if set_of(path):
        return "side"
    require_format(path)
    return "table" if suffix_of(path) in SUFFIXES else "folder"


def existing(path: str | Path) -> Path:
    """The path, if there is something (a link that leads nowhere is something to be named).

    Raises:
        CorpusError: There is nothing; what was expected is said.
    """
    if path == "" or not _exists(path):  # of "" a path would be the present folder
        raise CorpusError(
            f"no such file or folder: {path}; expected a folder of LANG.txt or LANG.split files, "
            f"Tatoeba pairs, a table ({', '.join(SUFFIXES)}) or the word embedded"
        )
    return Path(path)


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).exists() or Path(path).is_symlink()
    except (OSError, ValueError) as error:  # a name too long, or with NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise CorpusError(f"cannot read {str(path)[:80]}…: {reason}") from error
