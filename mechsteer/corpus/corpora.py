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
from typing import TYPE_CHECKING

from mechsteer.corpus import align
from mechsteer.corpus.formats.text import Text, flaw
from mechsteer.corpus.labels.concepts import Concepts, told_apart
from mechsteer.corpus.layouts.choice import asked, choose
from mechsteer.corpus.names.languages import FLORES200, canonical
from mechsteer.corpus.names.naming import named
from mechsteer.corpus.readable import Languages, Readable
from mechsteer.display import Displayed, count, listed
from mechsteer.errors import CorpusError

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

__all__ = ["LabelledCorpus", "Languages"]


@dataclass(frozen=True, repr=False)
class LabelledCorpus(Displayed, Readable):
    """Sentences by canonical language, in a fixed order of languages.

    ``sources`` and ``lines`` say where each sentence came from. Where labels are no languages,
    ``concepts`` says what they mean, and they stand as they are written. Otherwise aliases
    among the keys become canonical names, in the script of the text where they leave it open. The
    readers leave blank sentences out with a warning; here one is refused.

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
    concepts: Concepts | None = None

    def __post_init__(self) -> None:
        names = {code: self._named(code) for code in self.sentences}
        if len(set(names.values())) != len(names):
            raise CorpusError(f"two names of the same language among {', '.join(names)}")
        if not names:
            raise CorpusError(f"{self.name} has no {self.kind}: give sentences of at least one")
        texts = {names[code]: tuple(texts) for code, texts in self.sentences.items()}
        object.__setattr__(self, "sentences", texts)
        for field_name in ("sources", "lines"):
            given = getattr(self, field_name)
            clean = {names.get(code) or self._canonical(code): x for code, x in given.items()}
            # Selecting languages narrows the sentences; where the others came from goes with them.
            kept = {language: x for language, x in clean.items() if language in texts}
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
        if self.concepts is not None:
            return code
        if code in FLORES200 and code in self.sources:
            return code
        return named(code, [text for text in texts if isinstance(text, str)], code)

    def _canonical(self, code: str) -> str:
        return code if self.concepts is not None else canonical(code)

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

    @property
    def kind(self) -> str:
        """What one of ``languages`` is: ``"language"`` or ``"label"``."""
        return "language" if self.concepts is None else "label"

    def __len__(self) -> int:
        return sum(map(len, self.sentences.values()))

    def _line(self) -> str:
        held = told_apart(self.concepts, self.languages)
        names = f"{count(len(held), self.kind)} ({listed(held)})"
        return f"{self.name}: {count(len(self), 'sentence')} in {names}"

    def _shown(self) -> pd.DataFrame:
        import pandas as pd

        rows = [(name, len(texts), texts[0]) for name, texts in self.sentences.items()]
        return pd.DataFrame(rows, columns=[self.kind, "sentences", "the first"])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of languages and sentences in order; not of the name or the sources.

        Every part is preceded by its length, so that no two corpora spell the same bytes.
        """
        digest = hashlib.sha256(b"mechsteer corpus 1")
        told = () if self.concepts is None else self.concepts.parts(self.languages)
        for language, texts in (*self.sentences.items(), *((each, ()) for each in told)):
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
        """Sentences ``start`` to ``stop`` (exclusive, as in Python) of every language.

        Of concepts in several languages: of every label in each language.
        """
        cut = slice(start, stop)
        if self.concepts is not None:
            return self._cut(self.concepts, start, stop)
        return replace(
            self,
            sentences={name: texts[cut] for name, texts in self.sentences.items()},
            lines={name: numbers[cut] for name, numbers in self.lines.items()},
        )

    def _cut(self, concepts: Concepts, start: int, stop: int) -> Self:
        counts = {name: len(texts) for name, texts in self.sentences.items()}
        rows = {name: concepts.rows(name, start, stop, n) for name, n in counts.items()}
        return replace(
            self,
            sentences={name: [self.sentences[name][i] for i in own] for name, own in rows.items()},
            lines={name: [each[i] for i in rows[name]] for name, each in self.lines.items()},
            concepts=concepts.kept(rows),
        )

    def select(self, languages: Sequence[str] | str) -> Self:
        """The named languages (or labels), in the order named."""
        if self.concepts is not None:
            names = [languages] if isinstance(languages, str) else list(languages)
            rows = {name: range(len(self.sentences.get(name, ()))) for name in names}
            texts = choose(self.sentences, names, source=self.name, kind="labels")
            return replace(self, sentences=texts, concepts=self.concepts.kept(rows))
        names = [canonical(code) for code in asked(languages) or ()]
        return replace(self, sentences=choose(self.sentences, names, source=self.name))

    @classmethod
    def _from_texts(
        cls, texts: Mapping[str, Text], name: str, concepts: Concepts | None = None
    ) -> Self:
        return cls._build(align.labelled(texts), name, concepts)

    @classmethod
    def _build(cls, texts: Mapping[str, Text], name: str, concepts: Concepts | None = None) -> Self:
        return cls(
            {language: text.sentences for language, text in texts.items()},
            name=name,
            sources={language: text.source for language, text in texts.items()},
            lines={language: tuple(text.lines) for language, text in texts.items()},
            concepts=concepts,
        )
