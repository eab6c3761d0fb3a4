"""Multilingual embedding spaces whose truth is known, and what was planted in each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from scipy.stats import ortho_group
from torch import Tensor

Space = dict[str, Tensor]

LANGUAGES = ("deu_Latn", "fra_Latn", "jpn_Jpan")
TURNED = LANGUAGES[0]  # the language that a rotation turns


def space(
    seed: int = 0,
    *,
    languages: tuple[str, ...] = LANGUAGES,
    n: int = 160,
    d: int = 32,
    signal: float = 1.0,
    noise: float = 0.9,
    own: float = 0.5,
    common: float = 0.0,
) -> Space:
    """Float64 ``[sentence, d]`` of each language: shared meaning, own noise, and two offsets.

    ``x = signal · meaning + noise · e_language + own · o_language + common · o``, all coordinates
    standard normal. The knobs scale what is drawn and never change the draws, so two spaces of one
    seed differ in what was planted and nothing else.
    """
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    meaning, shared = normal(n, d), normal(d)
    return {
        language: signal * meaning + noise * normal(n, d) + own * normal(d) + common * shared
        for language in languages
    }


def rotated(x: Space) -> Space:
    turn = torch.from_numpy(ortho_group.rvs(x[TURNED].shape[1], random_state=1))
    return x | {TURNED: x[TURNED] @ turn}


def with_hubs(x: Space, count: int = 6) -> Space:
    """In each language a few sentences move close to its mean, whose direction all share."""

    def drawn_in(e: Tensor) -> Tensor:
        moved = e.clone()
        moved[:count] = e.mean(0) + 0.15 * (e[:count] - e.mean(0))
        return moved

    return {language: drawn_in(e) for language, e in x.items()}


def duplicated(x: Space) -> Space:
    """Every sentence of the first half stands there twice."""
    half = len(x[TURNED]) // 4
    return {language: torch.cat((e[:half], e[:half], e[2 * half :])) for language, e in x.items()}


def squeezed(x: Space) -> Space:
    """Dimensions of very different sizes, the same for all languages."""
    return {language: e * torch.logspace(0, -2, e.shape[1]).double() for language, e in x.items()}


def with_massive(x: Space, count: int = 3, size: float = 40.0) -> Space:
    """A few dimensions hold nearly all of the norm, the same in all languages, and say nothing."""
    random = torch.Generator().manual_seed(9)

    def moved(e: Tensor) -> Tensor:
        large = size * (1 + 0.1 * torch.randn(len(e), count, generator=random, dtype=e.dtype))
        return torch.cat((e[:, :-count], large), dim=1)

    return {language: moved(e) for language, e in x.items()}


def centred(x: Space) -> Space:
    return {language: e - e.mean(0) for language, e in x.items()}


def crowded() -> Space:
    """All languages in one cone, where a sentence near its axis is near everybody."""
    return space(noise=1.1, own=0.2, common=1.5)


# what is planted: the space before, and after
PLANTS: dict[str, tuple[Callable[[], Space], Callable[[], Space]]] = {
    "common": (space, lambda: space(common=3.0)),
    "own": (space, lambda: space(own=2.0)),
    "turned": (space, lambda: rotated(space())),
    "aligned": (space, lambda: space(noise=0.5)),
    "harmed": (space, lambda: space(noise=1.6)),
    "hubs": (crowded, lambda: with_hubs(crowded())),
    "doubled": (space, lambda: duplicated(space())),
    "squeezed": (space, lambda: squeezed(space())),
    "unrelated": (space, lambda: space(signal=0.0, noise=1.35)),
    "centred": (space, lambda: centred(space())),
    "rogue": (space, lambda: with_massive(space())),
}
