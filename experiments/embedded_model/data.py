"""Builds the token stream: translation documents and passages, packed into rows.

A translation document is a sentence, a newline and its translation; the language pairs are
drawn uniformly, so that no language is a hub. The other documents are passages in one
language, drawn so that the languages end with about equal tokens. Documents are never cut:
each row starts with `<s>`, as it does for a user, and the end of a row is padded.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import combinations

import config
import corpus
import numpy as np
from tokenizers import Tokenizer

Document = tuple[tuple[str, ...], str]  # the language of each line (or one for all), the text
CHUNK = 4000
LOOKAHEAD = 256


class Pools:
    """The training lines, arranged for drawing documents at random."""

    def __init__(self, rng: random.Random) -> None:
        """Reads every language once; all draws come from `rng`."""
        self.rng = rng
        self.lines: dict[str, dict[str, list[corpus.Line]]] = {}
        self.text: dict[str, dict[str, str]] = {}
        for code in config.LANGUAGES:
            self._add(code)
        self.shared = {pair: self._shared(*pair) for pair in combinations(config.LANGUAGES, 2)}

    def _add(self, code: str) -> None:
        """Sorts a language's lines by domain, and its alignable lines by id."""
        domains: dict[str, list[corpus.Line]] = {name: [] for name in config.MONO_DOMAINS}
        for line in corpus.train_lines(code):
            domains[line.domain].append(line)
        self.rng.shuffle(domains["free"])
        self.lines[code] = domains
        self.text[code] = {
            line.id: line.text
            for name in ("bible", "course")
            for line in domains[name]
            if len(line.text.encode("utf-8")) >= config.MIN_PAIR_BYTES
        }

    def _shared(self, first: str, second: str) -> dict[str, list[str]]:
        """The ids that two languages share, by domain, without untranslated lines."""
        one, two = self.text[first], self.text[second]
        ids = [key for key in one if key in two and one[key] != two[key]]
        bible = [key for key in ids if key.startswith("bible:")]
        return {"bible": bible, "course": [key for key in ids if not key.startswith("bible:")]}

    def translation(self) -> Document:
        """A sentence in two (sometimes three) languages, in random order."""
        pair = self.rng.choice(list(self.shared))
        pools = self.shared[pair]
        use_bible = pools["bible"] and self.rng.random() < config.BIBLE_PAIR_SHARE
        key = self.rng.choice(pools["bible" if use_bible else "course"])
        codes = list(pair)
        others = [c for c in config.LANGUAGES if c not in pair and key in self.text[c]]
        if others and self.rng.random() < config.TRIPLE_SHARE:
            codes.append(self.rng.choice(others))
        self.rng.shuffle(codes)
        return tuple(codes), "\n".join(self.text[code][key] for code in codes)

    def passage(self, code: str) -> Document:
        """Consecutive verses as prose, or consecutive course lines, or free sentences."""
        names = [name for name in config.MONO_DOMAINS if self.lines[code][name]]
        name = self.rng.choices(names, [config.MONO_DOMAINS[name] for name in names])[0]
        lines = self.lines[code][name]
        start = self.rng.randrange(len(lines))
        chosen = lines[start : start + self.rng.randint(2, 8)]
        texts = [line.text for line in chosen if line.document == chosen[0].document]
        space = "" if code in config.SPACELESS else " "
        return (code,), (space if name == "bible" else "\n").join(texts)


class Stream:
    """Encodes documents, counts tokens by language and packs them into rows."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Starts empty; `tokenizer` adds `<s>` by itself."""
        self.tokenizer = tokenizer
        self.bos, self.eos, self.pad = map(
            tokenizer.token_to_id, (config.BOS, config.EOS, config.PAD)
        )
        self.newline = tokenizer.encode("\n", add_special_tokens=False).ids[0]
        self.counts = {code: np.zeros(config.VOCAB_SIZE, np.int64) for code in config.LANGUAGES}
        self.kinds: Counter[str] = Counter()
        self.rows: list[np.ndarray] = []
        self.waiting: list[np.ndarray] = []

    def tokens(self) -> int:
        """Tokens packed so far, padding included."""
        return len(self.rows) * config.ROW_TOKENS

    def add(self, documents: list[Document]) -> None:
        """Encodes a chunk; a translation that does not fit a row is dropped, a passage cut."""
        encodings = self.tokenizer.encode_batch([text for _, text in documents])
        for (codes, _), encoding in zip(documents, encodings, strict=True):
            ids = np.array([*encoding.ids, self.eos], np.uint16)
            if len(ids) <= config.ROW_TOKENS or len(codes) == 1:
                ids = ids[: config.ROW_TOKENS]
                self.waiting.append(ids)
                self._count(codes, ids)

    def _count(self, codes: tuple[str, ...], ids: np.ndarray) -> None:
        """Gives each line's tokens to its language; the specials are nobody's."""
        inner = ids[(ids != self.bos) & (ids != self.eos)]
        self.kinds["translation" if len(codes) > 1 else "passage"] += len(ids)
        parts = [inner]
        if len(codes) > 1:
            parts = np.split(inner, np.flatnonzero(inner == self.newline) + 1)
        for code, part in zip(codes, parts, strict=True):
            self.counts[code] += np.bincount(part, minlength=config.VOCAB_SIZE)

    def pack(self) -> None:
        """Fills rows first-come; a remaining gap takes the longest waiting document that fits."""
        while len(self.waiting) > LOOKAHEAD:
            room, chosen = config.ROW_TOKENS, []
            while (index := self._next(room)) is not None:
                chosen.append(self.waiting.pop(index))
                room -= len(chosen[-1])
            padding = np.full(room, self.pad, np.uint16)
            self.rows.append(np.concatenate([*chosen, padding]))

    def _next(self, room: int) -> int | None:
        """The first waiting document if it fits, else the longest that does."""
        sizes = [len(ids) for ids in self.waiting[:LOOKAHEAD]]
        if sizes and sizes[0] <= room:
            return 0
        fitting = [(size, -index) for index, size in enumerate(sizes) if size <= room]
        return -max(fitting)[1] if fitting else None

    def behind(self) -> list[float]:
        """How far each language is behind the fullest, as weights for drawing passages."""
        totals = np.array([self.counts[code].sum() for code in config.LANGUAGES], float)
        return list(totals.max() - totals + 0.1 * totals.mean() + 1)


def build(stream: Stream, pools: Pools) -> None:
    """Adds chunks of mixed documents until the stream is long enough."""
    while stream.tokens() < config.STREAM_TOKENS:
        translations = round(CHUNK * config.TRANSLATION_SHARE)
        documents = [pools.translation() for _ in range(translations)]
        codes = pools.rng.choices(config.LANGUAGES, stream.behind(), k=CHUNK - translations)
        documents += [pools.passage(code) for code in codes]
        pools.rng.shuffle(documents)
        stream.add(documents)
        stream.pack()


def save(stream: Stream) -> dict[str, object]:
    """Writes the shuffled rows, the unigram counts and what the stream is made of."""
    rows = np.stack(stream.rows)
    np.random.default_rng(config.SEED).shuffle(rows)
    np.save(config.ROWS_FILE, rows)
    np.savez(config.UNIGRAM_FILE, **stream.counts)
    stats = {
        "rows": len(rows),
        "padding": float((rows == stream.pad).mean()),
        "tokens_by_kind": dict(stream.kinds),
        "tokens_by_language": {code: int(c.sum()) for code, c in stream.counts.items()},
    }
    config.STATS_FILE.write_text(json.dumps(stats, indent=2) + "\n", encoding="utf-8")
    return stats


def main() -> None:
    """Tokenizer must exist; writes everything that training needs."""
    tokenizer = Tokenizer.from_file(str(config.TOKENIZER_DIR / "tokenizer.json"))
    stream = Stream(tokenizer)
    build(stream, Pools(random.Random(config.SEED)))
    print(json.dumps(save(stream), indent=2))


if __name__ == "__main__":
    main()
