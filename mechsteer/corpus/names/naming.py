"""The name of a text's language, from its code and from the letters it is written in.

A code without a script leaves the script to the text, among those in which the language is known
to be written: Tatoeba's ``srp`` is mostly Latin. A code with one is taken at its word, with a
warning where most letters are of another script.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence

from mechsteer.corpus.names.codes import Tag, parse
from mechsteer.corpus.names.languages import attested_scripts, canonical, fixed, in_script, usual
from mechsteer.corpus.names.scripts import Letters, in_unicode, letters_of, sample
from mechsteer.errors import CorpusError, CorpusWarning


def named(code: str, sentences: Sequence[str], source: str) -> str:
    """The canonical name of a text under a language code.

    Warns:
        CorpusWarning: Most letters are not of the script that the code means, with the number of
            such sentences; the text is then named by its own script if the code leaves that open
            and the language is known to be written in it.

    Raises:
        CorpusError: The code is unknown, or means several languages that the text does not tell.
    """
    tag, letters = parse(code), letters_of(sample(sentences))
    expected = fixed(tag) or _usual_or_none(tag)
    if expected and _fits(expected[4:], letters):
        return expected
    if fixed(tag) is None and letters.script and _may_be_in(tag, letters.script):
        found = in_script(tag.language, letters.script)
        if expected:
            _warn(source, sentences, expected, letters.script, f"read as {found}")
        return found
    if expected is None:
        return usual(tag)  # raises, saying what the code can mean
    rename = f"name it {expected[:3]}_{letters.script} if it is that, or check the file"
    _warn(source, sentences, expected, letters.script, rename)
    return expected


def could_be(code: str, name: str) -> bool:
    """Whether a text under this code may turn out to have this canonical name."""
    try:
        tag = parse(code)
    except CorpusError:
        return False
    return name == (fixed(tag) or in_script(tag.language, name[4:]))


def is_open(code: str) -> bool:
    """Whether the code is a language and leaves its script to the text."""
    try:
        return fixed(parse(code)) is None
    except CorpusError:
        return False


@functools.cache
def name_or_none(code: str) -> str | None:
    """The canonical name of a code, ``None`` if only text can tell it or it is no language."""
    try:
        return canonical(code)
    except CorpusError:
        return None


def _usual_or_none(tag: Tag) -> str | None:
    try:
        return usual(tag)
    except CorpusError:
        return None


def _fits(script: str, letters: Letters) -> bool:
    return not letters.total or not in_unicode(script) or letters.share(script) >= 0.5


def _may_be_in(tag: Tag, script: str) -> bool:
    """Whether the language is known in this script; in any, where none is usual."""
    known = attested_scripts(tag.language)
    return script in known or (len(known) < 2 and _usual_or_none(tag) is None)


def _warn(
    source: str, sentences: Sequence[str], expected: str, script: str | None, what: str
) -> None:
    each = (letters_of([sentence]) for sentence in sentences)
    foreign = sum(letters.share(expected[4:]) < 0.5 for letters in each if letters.total)
    warnings.warn(
        f"{source}: {foreign} of {len(sentences)} sentences have most letters outside "
        f"{expected[4:]}, the script of {expected}; most are {script}: {what}",
        CorpusWarning,
        stacklevel=3,
    )
