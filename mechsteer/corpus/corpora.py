"""Sentences by language, checked once on the way in.

A :class:`LabelledCorpus` is enough to score neurons: each language brings what it has. A
:class:`ParallelCorpus` is n-way parallel (sentence *i* means the same in every language), which
retrieval and alignment need. Both read the same sources.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mechsteer.corpus import align, sources
from mechsteer.corpus.choice import asked, choose
from mechsteer.corpus.folders import read_folder, set_of
from mechsteer.corpus.hub import read_huggingface
from mechsteer.corpus.languages import FLORES200, canonical
from mechsteer.corpus.naming import named
from mechsteer.corpus.pairs import folder_of_pair, read_pair
from mechsteer.corpus.tables import read_table
from mechsteer.corpus.text import Text, flaw
from mechsteer.errors import CorpusError

if TYPE_CHECKING:
    from typing_extensions import Self

Languages = Sequence[str] | str | None
"""Languages to read: a sequence of codes, codes with commas between them, or None for all."""


@dataclass(frozen=True)
class LabelledCorpus:
    """Sentences by canonical language, in a fixed order of languages.

    ``sources`` and ``lines`` say where each sentence came from. Aliases among the keys become
    canonical names, in the script of the text where they leave it open. The readers leave blank
    sentences out with a warning; here one is refused.

    >>> corpus = LabelledCorpus({"fr": ["Bonjour.", "Merci."], "de": ["Hallo."]})
    >>> corpus.languages, len(corpus), corpus.flatten()[1]
    (('fra_Latn', 'deu_Latn'), 3, [0, 0, 1])

    Warns:
        CorpusWarning: Most letters of a text are not of its language's script.

    Raises:
        CorpusError: No language or no sentence, an unknown language or one given twice, a blank
            sentence, NUL or a lone surrogate.
    """

    sentences: Mapping[str, Sequence[str]]
    name: str = "sentences"
    sources: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = {code: self._named(code) for code in self.sentences}
        if len(set(names.values())) != len(names):
            raise CorpusError(f"two names of the same language among {', '.join(names)}")
        if not names:
            raise CorpusError(f"{self.name} has no language: give sentences in at least one")
        texts = {names[code]: tuple(texts) for code, texts in self.sentences.items()}
        object.__setattr__(self, "sentences", texts)
        for field_name in ("sources", "lines"):
            given = getattr(self, field_name)
            clean = {names.get(code) or canonical(code): value for code, value in given.items()}
            # Selecting languages narrows the sentences; where the others came from goes with them.
            kept = {language: value for language, value in clean.items() if language in texts}
            object.__setattr__(self, field_name, kept)
        for language in texts:
            self._check(language)

    def _named(self, code: str) -> str:
        """The name of a key: as it is, or by the text where the code leaves the script to it.

        Text that was read has been looked at, and says where it comes from.
        """
        texts = self.sentences[code]
        if isinstance(texts, str):
            raise CorpusError(f"{code}: expected a list of sentences, got one text")
        if code in FLORES200 and code in self.sources:
            return code
        return named(code, [text for text in texts if isinstance(text, str)], code)

    def _check(self, language: str) -> None:
        if not self.sentences[language]:
            raise CorpusError(f"{self.sources.get(language, language)} has no sentences")
        for index, sentence in enumerate(self.sentences[language]):
            if reason := flaw(sentence):
                raise CorpusError(f"{self.where(language, index)}: {reason}")

    @property
    def languages(self) -> tuple[str, ...]:
        """Canonical names, in the order that labels count."""
        return tuple(self.sentences)

    def __len__(self) -> int:
        return sum(map(len, self.sentences.values()))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of languages and sentences in order; not of the name or the sources.

        Every part is preceded by its length, so that no two corpora spell the same bytes.
        """
        digest = hashlib.sha256(b"mechsteer corpus 1")
        for language, texts in self.sentences.items():
            for part in (language, str(len(texts)), *texts):
                data = part.encode("utf-8")
                digest.update(len(data).to_bytes(8, "big") + data)
        return digest.hexdigest()

    def where(self, language: str, index: int) -> str:
        """``file:line`` of a sentence, for messages."""
        lines = self.lines.get(language)
        return f"{self.sources.get(language, language)}:{lines[index] if lines else index + 1}"

    def flatten(self) -> tuple[list[str], list[int]]:
        """All sentences and, for each, the index of its language; language by language."""
        labels = [i for i, texts in enumerate(self.sentences.values()) for _ in texts]
        return [text for texts in self.sentences.values() for text in texts], labels

    def head(self, n: int) -> Self:
        """The first ``n`` sentences of every language, or all of those that have fewer."""
        return self.slice(0, n)

    def slice(self, start: int, stop: int) -> Self:
        """Sentences ``start`` to ``stop`` (exclusive, as in Python) of every language."""
        cut = slice(start, stop)
        return replace(
            self,
            sentences={name: texts[cut] for name, texts in self.sentences.items()},
            lines={name: numbers[cut] for name, numbers in self.lines.items()},
        )

    def select(self, languages: Sequence[str] | str) -> Self:
        """The named languages, in the order named."""
        names = [canonical(code) for code in asked(languages) or ()]
        return replace(self, sentences=choose(self.sentences, names, source=self.name))

    @classmethod
    def from_dir(
        cls, path: str | Path, *, languages: Languages = None, split: str | None = None
    ) -> Self:
        """Read a folder with a file per language; see :mod:`mechsteer.corpus.folders`."""
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
        cls, path: str | Path, *, languages: Languages = None, split: str | None = None
    ) -> Self:
        """Read a CSV, TSV, JSON or Parquet file, with a column or with rows per language."""
        path = sources.existing(path)
        return cls._from_texts(read_table(path, languages=languages, split=split), path.name)

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

    @classmethod
    def _from_texts(cls, texts: Mapping[str, Text], name: str) -> Self:
        return cls._build(align.labelled(texts), name)

    @classmethod
    def _build(cls, texts: Mapping[str, Text], name: str) -> Self:
        return cls(
            {language: text.sentences for language, text in texts.items()},
            name=name,
            sources={language: text.source for language, text in texts.items()},
            lines={language: tuple(text.lines) for language, text in texts.items()},
        )
