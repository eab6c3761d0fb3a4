"""What a value may be, in words and as a test: the ranges that options are checked by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a value may be: in words, and as a test."""

    expected: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()  # all values, where they are few words


def whole(least: int) -> Rule:
    """Whole numbers of ``least`` or more, that fit 63 bits."""
    return Rule(
        f"a whole number of at least {least}",
        lambda x: isinstance(x, int) and not isinstance(x, bool) and least <= x < 2**63,
    )


def finite(expected: str, holds: Callable[[float], bool] = lambda _: True) -> Rule:
    """Finite numbers of some range."""
    return Rule(expected, lambda x: _is_number(x) and math.isfinite(x) and holds(x))


def word(expected: str) -> Rule:
    """Text that is not empty."""
    return Rule(expected, lambda x: isinstance(x, str) and bool(x.strip()))


def one_of(*choices: str) -> Rule:
    """One word of few."""
    return Rule(" or ".join(choices), lambda x: isinstance(x, str) and x in choices, choices)


UNICODE = Rule(
    "Unicode text",  # a lone surrogate is no character
    lambda x: isinstance(x, str) and not any("\ud800" <= letter <= "\udfff" for letter in x),
)
YES_OR_NO = Rule("True or False", lambda x: isinstance(x, bool))


def is_k(k: Any) -> bool:
    """Whether k is a number of neurons, or a fraction of all of them.

    >>> [is_k(k) for k in (100, 0.5, 0, -0.5, 1.7, float("nan"), True)]
    [True, True, False, False, False, False, False]
    """
    return _is_number(k) and math.isfinite(k) and k > 0 and (k < 1 or k == int(k))


K = Rule("k as a number of neurons (1, 2, …) or a fraction of all above 0 and below 1", is_k)


def read_k(text: str) -> int | float:
    """A number of neurons, or a fraction of all.

    >>> read_k("100"), read_k("0.01")
    (100, 0.01)
    """
    number = float(text)
    return int(number) if math.isfinite(number) and number == int(number) else number


def _is_number(x: Any) -> bool:
    """Whether x is a number that float64 can hold: not a whole one beyond 1e308."""
    return (isinstance(x, int) and not isinstance(x, bool) and abs(x) < 2**1023) or (
        isinstance(x, float)
    )
