"""Under which ISO 639-3 code a database may keep a language."""

from __future__ import annotations

import functools
from collections.abc import Container

from mechsteer.corpus.names.languages import alpha3


def candidates(language: str) -> tuple[str, ...]:
    """ISO 639-3 codes of a canonical name, best first: its usual member's, its own, its whole's.

    A macrolanguage's usual member is the one that BCP 47 means by it. Databases differ in which of
    them they keep: URIEL has Latvian as ``lav``, ASJP has Estonian as ``ekk``.

    >>> candidates("lvs_Latn"), candidates("zho_Hans"), candidates("fra_Latn")
    (('lvs', 'lav'), ('cmn', 'zho'), ('fra',))
    """
    own = language.partition("_")[0]
    members, macros = _members(), _macros()
    return tuple(dict.fromkeys((*members.get(own, ()), own, *macros.get(own, ()))))


def first_in(language: str, known: Container[str]) -> str | None:
    """The first candidate that a database has; None where it has none."""
    return next((code for code in candidates(language) if code in known), None)


@functools.cache
def _macros() -> dict[str, tuple[str, ...]]:
    """Macrolanguages by their members."""
    from langcodes.data_dicts import MACROLANGUAGES, NORMALIZED_MACROLANGUAGES

    pairs = {**MACROLANGUAGES, **NORMALIZED_MACROLANGUAGES}.items()
    named = ((alpha3(member), alpha3(macro)) for member, macro in pairs)
    return {member: (macro,) for member, macro in named if member and macro}


@functools.cache
def _members() -> dict[str, tuple[str, ...]]:
    """The members that stand for a macrolanguage in common use."""
    from langcodes.data_dicts import NORMALIZED_MACROLANGUAGES

    found: dict[str, tuple[str, ...]] = {}
    for member, macro in NORMALIZED_MACROLANGUAGES.items():
        if (one := alpha3(member)) and (whole := alpha3(macro)):
            found[whole] = (*found.get(whole, ()), one)
    return found
