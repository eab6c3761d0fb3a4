"""Where a corpus comes from: folders, pairs of files, tables, the hub, or the package itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import Unpack

from mechsteer.corpus.formats.table import table_of
from mechsteer.corpus.formats.text import Text
from mechsteer.corpus.labels.cells import Columns, Told, require_no_columns
from mechsteer.corpus.labels.concepts import Concepts
from mechsteer.corpus.labels.tables import read_labelled
from mechsteer.corpus.layouts import sources
from mechsteer.corpus.layouts.folders import read_folder, set_of
from mechsteer.corpus.layouts.hub import read_huggingface
from mechsteer.corpus.layouts.pairs import folder_of_pair, read_pair
from mechsteer.corpus.layouts.tables import read_table
from mechsteer.errors import CorpusError

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

Languages = Sequence[str] | str | None
"""Languages to read: a sequence of codes, codes with commas between them, or None for all."""


class Readable:
    """Gives a corpus its readers; a corpus says what it makes of the texts that they find."""

    @classmethod
    def _from_texts(
        cls, texts: Mapping[str, Text], name: str, concepts: Concepts | None = None
    ) -> Self:
        raise NotImplementedError

    @classmethod
    def from_dir(
        cls, path: str | Path, *, languages: Languages = None, split: str | None = None
    ) -> Self:
        """Read a folder with a file per language; see :mod:`mechsteer.corpus.layouts.folders`."""
        path = sources.existing(path)
        name = f"{path.name}/{split}" if split else path.name
        return cls._from_texts(read_folder(path, languages=languages, split=split), name)

    @classmethod
    def from_tatoeba(
        cls, path: str | Path, *, languages: Languages = None, split: str | None = None
    ) -> Self:
        """Read one pair, ``tatoeba.fra-eng.fra`` and ``.eng``, named by one language or both."""
        texts = read_pair(sources.existing(path), languages=languages, split=split)
        return cls._from_texts(texts, Path(next(iter(texts.values())).source).stem)

    @classmethod
    def from_table(
        cls,
        table: str | Path | pd.DataFrame | Mapping[str, Sequence[object]],
        *,
        languages: Languages = None,
        split: str | None = None,
        label: str | Sequence[str] | None = None,
        **columns: Unpack[Columns],
    ) -> Self:
        """Read a CSV, TSV, JSON or Parquet file, with a column or with rows per language.

        A pandas data frame, or columns by name, are read as a file of them would be. With a
        ``label``, any column (or several of 0 and 1) is what sentences are told apart by, beside
        the columns ``text=`` and ``language=``: see :mod:`mechsteer.corpus.labels.tables`.
        """
        given = sources.existing(table) if isinstance(table, str | Path) else table_of(table)
        name = given.name if isinstance(given, Path) else given.source
        if label is not None:
            told = Told((label,) if isinstance(label, str) else tuple(label), **columns)
            spoken = languages.split(",") if isinstance(languages, str) else languages
            found, concepts = read_labelled(given, told, languages=spoken, split=split)
            return cls._from_texts(found, name, concepts)
        require_no_columns(columns)
        return cls._from_texts(read_table(given, languages=languages, split=split), name)

    @classmethod
    def from_huggingface(
        cls,
        name: str,
        *,
        languages: Languages = None,
        split: str | None = None,
        config: str | None = None,
        revision: str | None = None,
    ) -> Self:
        """Read a dataset of the Hugging Face hub, shaped as :meth:`from_table` reads it."""
        texts = read_huggingface(
            name, languages=languages, split=split, config=config, revision=revision
        )
        return cls._from_texts(texts, name)

    @classmethod
    def embedded(cls, split: str | None = None, *, languages: Languages = None) -> Self:
        """The sentences shipped with the package: 12 languages, ``dev`` and ``test`` of 256."""
        texts = read_folder(sources.EMBEDDED, languages=languages, split=split)
        return cls._from_texts(texts, f"embedded/{split}")

    @classmethod
    def read(
        cls, source: str | Path, *, languages: Languages = None, split: str | None = None
    ) -> Self:
        """Read whatever ``source`` is: see :func:`read`."""
        if source == "embedded":
            return cls.embedded(split, languages=languages)
        kind = sources.kind_of(source)
        if kind == "hub":
            return cls._from_hub(str(source), languages=languages, split=split)
        if kind == "pair":
            return cls.from_tatoeba(source, languages=languages, split=split)
        if kind == "table":
            return cls.from_table(source, languages=languages, split=split)
        if kind == "side":
            source, split = Path(source).parent, set_of(Path(source))
        elif pair := folder_of_pair(Path(source), languages):
            return cls.read(pair, languages=languages, split=split)
        return cls.from_dir(source, languages=languages, split=split)

    @classmethod
    def _from_hub(cls, source: str, *, languages: Languages, split: str | None) -> Self:
        name, _, config = source.partition(":")
        try:
            return cls.from_huggingface(
                name, languages=languages, split=split, config=config or None
            )
        except CorpusError as error:
            raise CorpusError(f"no file or folder {source}; as a dataset: {error}") from error
