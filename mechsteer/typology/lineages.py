"""Where languages stand in Glottolog's tree: their family, its branch, the branch of that."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mechsteer.corpus.names.languages import canonical
from mechsteer.errors import CorpusError
from mechsteer.typology.catalogue import glottolog
from mechsteer.typology.folder import part, table, typology_folder

_TOKEN = re.compile(r"[(),]|\b[a-z0-9]{4}\d{4}\b")


def lineages(languages: Sequence[str], *, data: Path | None = None) -> dict[str, tuple[str, ...]]:
    """The ancestors of each language by name, its family first, its nearest branch last.

    Isolates, languages that Glottolog does not know and those that it gives no family (artificial,
    mixed, signed) have none. Names of languages are the canonical ones, in the order given.

    >>> lineages(["fra", "eus"])["fra_Latn"][:3]  # doctest: +SKIP
    ('Indo-European', 'Classical Indo-European', 'Italic')

    Raises:
        CorpusError: A language is unknown, or the database is missing or damaged.
    """
    names = tuple(canonical(code) for code in languages)
    folder = typology_folder(data)
    entries = glottolog(folder, names)
    rows = table(part(folder, "glottolog/languages.csv.gz"), ("Glottocode", "Name"))
    called = dict(zip(rows["Glottocode"], rows["Name"], strict=True))
    above: dict[str, tuple[str, ...]] = {}
    for tree in _trees(part(folder, "glottolog/classification.nex.gz")):
        above |= ancestors(tree)
    found = {
        name: above.get(entries[name].glottocode, ())
        if name in entries and entries[name].family
        else ()
        for name in names
    }
    return {name: tuple(called.get(code, code) for code in codes) for name, codes in found.items()}


def ancestors(tree: str) -> dict[str, tuple[str, ...]]:
    """The nodes above each node of a Newick tree of glottocodes, the root first.

    >>> ancestors("((aaaa1111:1,bbbb1111:1)cccc1111:1,dddd1111:1)eeee1111:1;")["aaaa1111"]
    ('eeee1111', 'cccc1111')
    """
    found: dict[str, tuple[str, ...]] = {}
    above: list[str] = []
    node = ""
    for token in reversed(_TOKEN.findall(tree)):  # a node's name stands behind its children
        if token == ")":
            above.append(node)
        elif token == "(":
            above.pop()
        elif token != ",":
            node, found[token] = token, tuple(above)
    return found


def _trees(path: Path) -> Iterator[str]:
    """The trees of a NEXUS file, one a family.

    Raises:
        CorpusError: The file is damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                head, equals, tree = line.partition("=")
                if equals and head.split()[:1] == ["tree"]:
                    if tree.count("(") != tree.count(")"):
                        raise CorpusError(f"damaged file {path}: expected a Newick tree a line")
                    yield tree
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CorpusError(f"damaged file {path}: {error}") from None
