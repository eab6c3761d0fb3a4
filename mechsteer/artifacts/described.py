"""From JSON to records: what is read must have the very types that a record's annotations name.

A checksum says that a file is as it was written, not that mechsteer wrote it. Here whatever JSON
holds becomes the record that is meant, or a refusal that names the place: ``points[1].layer``.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mechsteer.errors import ArtifactError, MechsteerError, shown

Record = TypeVar("Record")


def described(record: type[Record], content: Any, place: str) -> Record:
    """A record from the JSON object that ``dataclasses.asdict`` made of it.

    Fields may be numbers, text, truth values, tuples, records, literals, mappings of text to
    anything that JSON holds, and unions of these. Numbers are finite and fit 64 bits.

    Raises:
        ArtifactError: a field is missing, unknown or of another type; its place is named.
    """
    names = [field.name for field in fields(record)]  # type: ignore[arg-type]
    content = _of_kind(dict, content, place)
    if set(content) != set(names):
        odd = ", ".join(sorted({*content}.symmetric_difference(names)))
        raise ArtifactError(f"{place} lacks or adds {shown(odd)}")
    hints = get_type_hints(record)
    return record(**{name: value(hints[name], content[name], f"{place}.{name}") for name in names})


def noted(metadata: Mapping[str, str], name: str) -> Any:
    """What JSON holds under a name in the metadata of a file; None where there is no JSON."""
    try:
        return json.loads(metadata.get(name, ""))
    except (ValueError, RecursionError):
        return None


def value(expected: Any, found: Any, place: str) -> Any:
    """A value of an annotated type from what JSON holds of it.

    Raises:
        ArtifactError: it is of another type; its place is named.
    """
    origin = get_origin(expected)
    if origin in (Union, types.UnionType):
        return _of_union(get_args(expected), found, place)
    if origin is Literal:
        return _one_of(get_args(expected), found, place)
    if origin is tuple:
        parts = _of_kind(list, found, place)
        return tuple(value(get_args(expected)[0], x, f"{place}[{i}]") for i, x in enumerate(parts))
    if expected is Any or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _plain(found, place, whole=expected is not Any)
    if hasattr(expected, "__dataclass_fields__"):
        return described(expected, found, place)
    return _of_kind(expected, found, place)


@contextmanager
def fitting(place: object) -> Iterator[None]:
    """Refuse tables that a checksum vouches for and that are not those that were to be written.

    Args:
        place: where they lie.

    Raises:
        ArtifactError: whatever went wrong in the block with what was read.
    """
    try:
        yield
    except MechsteerError:
        raise
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError) as error:
        what = f"{type(error).__name__} {str(error).partition(chr(10))[0]}".strip()
        raise ArtifactError(
            f"the tables in {place} are not those that mechsteer writes ({what[:200]}): run "
            "`mechsteer study`, `cards` and `probe` again"
        ) from error


def _of_union(kinds: tuple[Any, ...], found: Any, place: str) -> Any:
    if found is None and type(None) in kinds:
        return None
    refusal = None
    for kind in kinds:
        try:
            return value(kind, found, place)
        except ArtifactError as error:
            refusal = refusal or error
    raise refusal or ArtifactError(f"{place} is {shown(found)}")


def _one_of(choices: tuple[Any, ...], found: Any, place: str) -> Any:
    if not isinstance(found, str) or found not in choices:
        raise ArtifactError(f"{place} is {shown(found)}, expected {' or '.join(choices)}")
    return found


_HOLDS: dict[type, Callable[[Any], bool]] = {
    bool: lambda x: isinstance(x, bool),
    int: lambda x: isinstance(x, int) and not isinstance(x, bool) and -(2**63) <= x < 2**63,
    float: lambda x: _HOLDS[int](x) or (isinstance(x, float) and math.isfinite(x)),
    str: lambda x: isinstance(x, str) and not any("\ud800" <= letter <= "\udfff" for letter in x),
    list: lambda x: isinstance(x, list),
    dict: lambda x: isinstance(x, dict) and all(map(_HOLDS[str], x)),
    type(None): lambda x: x is None,
}


def _of_kind(kind: type, found: Any, place: str) -> Any:
    if not _HOLDS[kind](found):
        raise ArtifactError(f"{place} is {shown(found)}, expected {kind.__name__}")
    return found


def _plain(found: Any, place: str, *, whole: bool) -> Any:
    """Anything that JSON can hold again, or an object of it; not deeper than Python recurses."""
    waiting = [_of_kind(dict, found, place) if whole else found]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += _of_kind(dict, part, place).values()
        elif isinstance(part, list):
            waiting += part
        elif not any(_HOLDS[kind](part) for kind in (bool, float, str, type(None))):
            raise ArtifactError(f"{place} holds {shown(part)}, which JSON cannot")
    return found
