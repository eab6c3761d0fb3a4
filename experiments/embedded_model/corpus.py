"""Reads the training lines: which language, which domain, held out or not.

Languages and domains are confounded in the data (Arabic has no Bible), so every reader
of it works with domains; and the held-out rule has to be the same for the tokenizer, the
token stream and the evaluation, so it lives here once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import config


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence; equal ids in two languages are translations, unless it starts with '-'."""

    id: str
    text: str

    @property
    def domain(self) -> str:
        """'bible', 'course' (machine-translated courses and guides) or 'free' (monolingual)."""
        if self.id.startswith("-"):
            return "free"
        return "bible" if self.id.startswith("bible:") else "course"

    @property
    def document(self) -> str:
        """What the line belongs to: a Bible book, one course file, or the source."""
        if self.domain == "bible":
            return self.id.split(" ")[0]
        return self.id.split(".")[0]

    @property
    def held_out(self) -> bool:
        """Hashes the id, so that a held-out sentence is held out in all its languages."""
        key = self.text if self.domain == "free" else self.id
        digest = hashlib.md5(key.encode("utf-8")).digest()
        return int.from_bytes(digest[:4], "big") % 100 < config.HELD_OUT_PERCENT


def read_lines(code: str) -> list[Line]:
    """All usable lines of a language; uncertain alignments ('~') are left out altogether."""
    path = config.TRAIN / f"{code}.tsv"
    lines = []
    with path.open(encoding="utf-8", newline="\n") as handle:
        for row in handle:
            key, text = row.rstrip("\n").split("\t", 1)
            text = text.strip()
            if text and not key.startswith("~"):
                lines.append(Line(key, text))
    return lines


@cache
def split_lines(code: str) -> tuple[list[Line], list[Line]]:
    """(train, held out). Held-out texts are removed from training under any other id too."""
    lines = read_lines(code)
    held_out = [line for line in lines if line.held_out]
    texts = {line.text for line in held_out}
    return [line for line in lines if line.text not in texts], held_out


def train_lines(code: str) -> list[Line]:
    """The lines that the tokenizer and the model may see, in file order."""
    return split_lines(code)[0]


def held_out_texts(code: str, limit: int | None = None) -> list[str]:
    """Distinct held-out sentences that are long enough to measure, spread over domains."""
    texts = dict.fromkeys(line.text for line in split_lines(code)[1])
    long = [text for text in texts if len(text.encode("utf-8")) >= config.MIN_PAIR_BYTES]
    long.sort(key=lambda text: hashlib.md5(text.encode("utf-8")).digest())
    return long[:limit]


def flores(code: str, split: str, limit: int | None = None) -> list[str]:
    """FLORES-200 sentences of one split; used for evaluation only."""
    path = config.FLORES / split / f"{code}.{split}"
    return path.read_text(encoding="utf-8").split("\n")[:-1][:limit]
