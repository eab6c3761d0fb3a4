"""Sentences by language, checked once on the way in.

A :class:`LabelledCorpus` is enough to score neurons: each language brings what it has. A
:class:`ParallelCorpus` is n-way parallel (sentence *i* means the same in every language), which
retrieval and alignment need. Both read the same sources.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mechsteer.corpus import align
from mechsteer.corpus.folders import holds_pairs, read_folder, read_pair
from mechsteer.corpus.languages import canonical
from mechsteer.corpus.tables import SUFFIXES, read_huggingface, read_table
from mechsteer.corpus.text import Text, asked, choose, flaw
from mechsteer.errors import CorpusError

if TYPE_CHECKING:
    from typing_extensions import Self

_EMBEDDED = Path(__file__).parents[1] / "embedded" / "sentences"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")


@dataclass(frozen=True)
class LabelledCorpus:
    """Sentences by canonical language, in a fixed order of languages.

    ``sources`` and ``lines`` say where each sentence came from. Aliases among the keys become
    canonical names. The readers leave blank sentences out with a warning; here one is refused.

    >>> corpus = LabelledCorpus({"fr": ["Bonjour.", "Merci."], "de": ["Hallo."]})
    >>> corpus.languages, len(corpus), corpus.flatten()[1]
    (('fra_Latn', 'deu_Latn'), 3, [0, 0, 1])

    Raises:
        CorpusError: No language or no sentence, an unknown language or one given twice, a blank
            sentence, NUL or a lone surrogate.
    """

    sentences: Mapping[str, Sequence[str]]
    name: str = "sentences"
    sources: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("sentences", "sources", "lines"):
            given = getattr(self, name)
            clean = {canonical(code): value for code, value in given.items()}
            if len(clean) != len(given):
                raise CorpusError(f"two names of the same language among {', '.join(given)}")
            # Selecting languages narrows the sentences; where the others came from goes with them.
            kept = {language: clean[language] for language in clean if language in self.sentences}
            object.__setattr__(self, name, clean if name == "sentences" else kept)
        if not self.sentences:
            raise CorpusError(f"{self.name} has no language: give sentences in at least one")
        texts = {language: tuple(texts) for language, texts in self.sentences.items()}
        object.__setattr__(self, "sentences", texts)
        for language in texts:
            self._check(language)

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

    def select(self, languages: Sequence[str] | str) -> Self:
        """The named languages, in the order named."""
        return replace(self, sentences=choose(self.sentences, asked(languages), source=self.name))

    @classmethod
    def from_dir(
        cls,
        path: str | Path,
        *,
        languages: Sequence[str] | str | None = None,
        split: str | None = None,
    ) -> Self:
        """Read a folder of ``LANG.txt``, ``LANG.split`` or ``LANG.tsv`` (``id<TAB>sentence``)."""
        path = _existing(path)
        name = f"{path.name}/{split}" if split else path.name
        return cls._from_texts(read_folder(path, languages=languages, split=split), name)

    @classmethod
    def from_tatoeba(
        cls, path: str | Path, *, languages: Sequence[str] | str | None = None
    ) -> Self:
        """Read one pair, ``tatoeba.fra-eng.fra`` and ``.eng``, named by one language or both."""
        texts = read_pair(_existing(path), languages=languages)
        return cls._from_texts(texts, Path(next(iter(texts.values())).source).stem)

    @classmethod
    def from_table(cls, path: str | Path, *, languages: Sequence[str] | str | None = None) -> Self:
        """Read a CSV, TSV or Parquet file, with a column or with rows per language."""
        path = _existing(path)
        return cls._from_texts(read_table(path, languages=languages), path.name)

    @classmethod
    def from_huggingface(
        cls,
        name: str,
        *,
        languages: Sequence[str] | str | None = None,
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
    def embedded(
        cls, split: str | None = None, *, languages: Sequence[str] | str | None = None
    ) -> Self:
        """The sentences shipped with the package: 12 languages, ``dev`` and ``test`` of 256."""
        texts = read_folder(_EMBEDDED, languages=languages, split=split)
        return cls._from_texts(texts, f"embedded/{split}")

    @classmethod
    def read(
        cls,
        source: str | Path,
        *,
        languages: Sequence[str] | str | None = None,
        split: str | None = None,
    ) -> Self:
        """Read whatever ``source`` is: see :func:`read`."""
        if source == "embedded":
            return cls.embedded(split, languages=languages)
        if not Path(source).exists() and _HUB_NAME.fullmatch(str(source)):
            return cls._from_hub(str(source), languages=languages, split=split)
        path = _existing(source)
        if holds_pairs(path):
            return cls.from_tatoeba(path, languages=languages)
        if path.suffix in SUFFIXES:
            return cls.from_table(path, languages=languages)
        return cls.from_dir(path, languages=languages, split=split)

    @classmethod
    def _from_hub(
        cls, source: str, *, languages: Sequence[str] | str | None, split: str | None
    ) -> Self:
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


@dataclass(frozen=True)
class ParallelCorpus(LabelledCorpus):
    """Sentences that are translations of each other, row by row, in every language.

    >>> corpus = ParallelCorpus({"fr": ["Bonjour.", "Merci."], "de": ["Hallo.", "Danke."]})
    >>> corpus.n_sentences, corpus.head(1).sentences["deu_Latn"]
    (2, ('Hallo.',))

    Raises:
        CorpusError: As :class:`LabelledCorpus`, and when the languages differ in length.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = {language: len(texts) for language, texts in self.sentences.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{language} {count}" for language, count in counts.items())
            raise CorpusError(f"{self.name} is not parallel: expected equal lengths, got {listed}")

    @property
    def n_sentences(self) -> int:
        """Sentences of each language."""
        return len(next(iter(self.sentences.values())))

    def head(self, n: int) -> Self:
        """The first ``n`` sentences of every language."""
        return self.slice(0, n)

    def slice(self, start: int, stop: int) -> Self:
        """Sentences ``start`` to ``stop`` (exclusive, as in Python) of every language."""
        return self.rows(range(self.n_sentences)[start:stop])

    def rows(self, numbers: Sequence[int]) -> Self:
        """The sentences of these numbers in every language, in this order."""
        sentences = {
            name: tuple(texts[i] for i in numbers) for name, texts in self.sentences.items()
        }
        lines = {name: [each[i] for i in numbers] for name, each in self.lines.items()}
        return replace(self, sentences=sentences, lines=lines)

    @classmethod
    def _from_texts(cls, texts: Mapping[str, Text], name: str) -> Self:
        return cls._build(align.parallel(texts), name)


def read(
    source: str | Path,
    *,
    languages: Sequence[str] | str | None = None,
    split: str | None = None,
) -> ParallelCorpus:
    """Read parallel text from whatever ``source`` is.

    A folder, a table, one pair file, ``"embedded"``, or the name ``owner/name[:config]`` of a
    Hugging Face dataset; a path that exists is never taken for a dataset. For text that is not
    parallel use :meth:`LabelledCorpus.read`, which takes the same.

    Warns:
        CorpusWarning: Blank sentences, left out of every language; repeated sentences; sentences
            without a translation.

    Raises:
        CorpusError: ``source`` is none of these, or cannot be used; with ``file:line``.
    """
    return ParallelCorpus.read(source, languages=languages, split=split)


def _existing(path: str | Path) -> Path:
    if not Path(path).exists():
        raise CorpusError(
            f"no such file or folder: {path}; expected a folder of LANG.txt or LANG.split files, "
            f"Tatoeba pairs, a table ({', '.join(SUFFIXES)}) or the word embedded"
        )
    return Path(path)
