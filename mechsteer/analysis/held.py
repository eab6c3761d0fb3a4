"""Embeddings by language that need not stand in memory together.

A plain dict holds all of them. ``Held`` lies on a disk: a language is read when it is asked for and
forgotten when nobody holds it. What goes over all languages, or over all pairs, does so here, so
that it works on both and gives the same bits.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeVar

from torch import Tensor

Value = TypeVar("Value")
Change = Callable[[str, Tensor], Tensor]


class Held(Mapping[str, Tensor]):
    """Embeddings by language, read one language at a time.

    Attributes:
        room: bytes that languages may take that are read together.
    """

    room: int

    @abstractmethod
    def mapped(self, change: Change) -> Held:
        """Each language's embeddings, changed."""


@dataclass(frozen=True)
class Lazily(Held):
    """Others' embeddings, changed each time that they are read; of ``only`` these languages."""

    source: Held
    change: Change
    only: tuple[str, ...] | None = None

    @property
    def room(self) -> int:  # type: ignore[override]
        """That of the source."""
        return self.source.room

    def __getitem__(self, language: str) -> Tensor:
        return self.change(language, self.source[language])

    def __iter__(self) -> Iterator[str]:
        return iter(self.source if self.only is None else self.only)

    def __len__(self) -> int:
        return len(self.source if self.only is None else self.only)

    def mapped(self, change: Change) -> Held:
        """Changed at every reading, after this one's change."""
        return Lazily(self, change)


def mapped(embeddings: Mapping[str, Tensor], change: Change) -> Mapping[str, Tensor]:
    """Each language's embeddings, changed: in memory, or on the disk where the others lie."""
    if isinstance(embeddings, Held):
        return embeddings.mapped(change)
    return {language: change(language, x) for language, x in embeddings.items()}


def among(embeddings: Mapping[str, Tensor], languages: Sequence[str]) -> Mapping[str, Tensor]:
    """The embeddings of some languages, in the order named, where those of all lie."""
    if isinstance(embeddings, Held):
        return Lazily(embeddings, lambda _, x: x, tuple(languages))
    return {language: embeddings[language] for language in languages}


def at_layer(embeddings: Mapping[str, Tensor], layer: int) -> Mapping[str, Tensor]:
    """One row of the residual stream of each language."""
    if isinstance(embeddings, Held):
        return Lazily(embeddings, lambda _, x: x[layer])
    return {language: x[layer] for language, x in embeddings.items()}


def pairs(
    embeddings: Mapping[str, Tensor],
    prepare: Callable[[Tensor], Value],
    *,
    times: int = 1,
) -> Iterator[tuple[int, int, Value, Value]]:
    """Every two languages, ``s < t``: their numbers, and what is prepared of their embeddings.

    In memory each language is prepared once, and the pairs come in the order of ``combinations``.
    On a disk they come tile by tile: two groups of languages stand side by side in half the room
    each, so that with T languages a group each of L is read about ``L / T`` times. The order of the
    pairs is another one then; what is made of a pair does not depend on it.

    Args:
        embeddings: by language, of one shape.
        prepare: what is wanted of each language.
        times: how many times the bytes of a language's embeddings this takes in memory.
    """
    languages = list(embeddings)
    if not isinstance(embeddings, Held):
        whole = [prepare(x) for x in embeddings.values()]
        for s, t in combinations(range(len(languages)), 2):
            yield s, t, whole[s], whole[t]
        return
    first = embeddings[languages[0]]
    most = max(1, embeddings.room // 2 // max(1, times * first.numel() * first.element_size()))
    tiles = [range(at, min(at + most, len(languages))) for at in range(0, len(languages), most)]
    del first
    for number, tile in enumerate(tiles):
        own = {i: prepare(embeddings[languages[i]]) for i in tile}
        for s, t in combinations(tile, 2):
            yield s, t, own[s], own[t]
        for later in tiles[number + 1 :]:
            other = {i: prepare(embeddings[languages[i]]) for i in later}
            for s, t in product(tile, later):
                yield s, t, own[s], other[t]
            del other
