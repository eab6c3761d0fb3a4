"""What ``mechsteer typology`` does: pairs of languages, and single ones, as tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from mechsteer.corpus import LabelledCorpus
from mechsteer.corpus.names.languages import canonical
from mechsteer.typology import ALL, characteristics, distances, fertility, overlaps


def typology_command(
    languages: tuple[str, ...],
    *,
    kinds: tuple[str, ...],
    data: Path | None,
    corpus: str | None,
    split: str | None,
    tokenizer: str | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of pairs and of languages."""
    pairs = [distances(languages, kinds=kinds or ALL, data=data).table()]
    single = characteristics(languages, data=data)
    if corpus is not None:
        names = [canonical(code) for code in languages]
        texts = LabelledCorpus.read(corpus, languages=names, split=split)
        tokenize = _tokenize(tokenizer) if tokenizer else None
        pairs.append(overlaps(texts, tokenize).table())
        if tokenize is not None:
            single = single.merge(fertility(texts, tokenize), on="language", how="left")
    table = pd.concat(pairs, ignore_index=True)
    order = {pair: place for place, pair in enumerate(_pairs(pairs[0]))}
    places = [order[pair] for pair in _pairs(table)]
    return table.iloc[pd.Series(places).argsort(kind="stable")].reset_index(drop=True), single


def _pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["language"], table["other"], strict=True))


def _tokenize(name: str) -> Callable[[str], list[int]]:
    from mechsteer.model.identity import place_of
    from mechsteer.model.tokenizer import load_tokenizer

    loaded = load_tokenizer(place_of(name))

    def tokens(sentence: str) -> list[int]:
        return list(loaded(sentence, add_special_tokens=False)["input_ids"])

    return tokens
