"""An option stands in one place: a field of a frozen record says all that is known about it.

From such a record are derived the keywords of a function, the flags of a command, what a manifest
keeps, and the command that makes the same numbers again. Values are checked when a record is made,
so nothing is loaded or written for a value that cannot be meant.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from mechsteer.errors import MechsteerError, shown
from mechsteer.options.lists import joined, parts_of
from mechsteer.options.rules import Rule

Function = TypeVar("Function", bound=Callable[..., Any])
Record = TypeVar("Record", bound="Options")
REQUIRED = dataclasses.MISSING
_MOST = 10_000  # of what is counted, seeds say: each is a pass over a corpus


@dataclass(frozen=True)
class Option:
    """How one option is called, explained, checked, read from text and written to it.

    Attributes:
        help: one sentence or two, for the command line and the function's documentation.
        rule: what each value may be.
        flag: its name on the command line; empty where the command line has none.
        read: one value from its text.
        show: the text of one value.
        many: ``"list"`` for several values, with commas between them (see
            ``mechsteer.options.lists``), by repeating the flag, or both; ``"count"`` for the whole
            numbers below one that is typed; empty for a single value.
        least: how many values of several there are at least.
        optional: whether None is a value: not given.
        determines: whether numbers depend on it. What does not may be another one when a run is
            taken up again: no manifest keeps it.
    """

    help: str
    rule: Rule
    flag: str = ""
    read: Callable[[str], Any] = str
    show: Callable[[Any], str] = str
    many: Literal["", "list", "count"] = ""
    least: int = 1
    optional: bool = False
    determines: bool = True

    def checked(self, value: Any) -> Any:
        """The value as it is kept, or a refusal in words.

        Raises:
            MechsteerError: a value against the rule.
        """
        if value is None and (self.optional or not self.least):
            return () if self.many else None
        listed = _is_list(value)
        parts = [_plain(part) for part in (value if self.many and listed else (value,))]
        fits = listed and len(parts) >= self.least if self.many else True
        if not fits or not all(map(self.rule.holds, parts)):
            some = f"{'one or more' if self.least else 'some'}, each " if self.many else ""
            raise MechsteerError(f"expected {some}{self.rule.expected}, got {shown(value)}")
        return tuple(parts) if self.many else parts[0]

    def parsed(self, text: str) -> Any:
        """The value that a text on the command line means.

        Raises:
            MechsteerError: a text that means nothing, or a value against the rule.
        """
        try:
            if self.many == "list":
                if not (parts := parts_of(text)):
                    raise ValueError
                return self.checked([self.read(part) for part in parts])
            if self.many == "count":
                return self.checked(range(_count(text)))
            return self.checked(self.read(text))
        except (ValueError, OverflowError) as error:
            if isinstance(error, MechsteerError):
                raise
            raise MechsteerError(f"expected {self.rule.expected}, got {shown(text)}") from None

    def typed(self, value: Any) -> str:
        """The text that means a value."""
        if not self.many:
            return self.show(value)
        if self.many == "count":
            return str(len(value))
        return joined([self.show(part) for part in value])


def option(default: Any, help: str, rule: Rule, **parts: Any) -> Any:  # noqa: A002
    """A field of a record of options; ``REQUIRED`` for one without a default."""
    described = Option(help, rule, **{"optional": default is None} | parts)
    return dataclasses.field(default=default, metadata={"option": described})


def options_of(record: type | Any) -> dict[str, Option]:
    """The options of a record, by the names of its fields, in order."""
    return {
        field.name: field.metadata["option"]
        for field in dataclasses.fields(record)
        if "option" in field.metadata
    }


class Options:
    """Base of records of options: every value is checked when one is made.

    Raises:
        MechsteerError: a value against its rule; the option is named.
    """

    def __post_init__(self) -> None:
        for name, described in options_of(self).items():
            try:
                value = described.checked(getattr(self, name))
            except MechsteerError as error:
                raise MechsteerError(f"{described.flag or name}: {error}") from None
            object.__setattr__(self, name, value)

    def as_json(self) -> dict[str, Any]:
        """What a manifest keeps: every option with a flag that determines numbers."""
        return {
            name: list(value) if _is_list(value := getattr(self, name)) else value
            for name, described in options_of(self).items()
            if described.flag and described.determines
        }


def from_json(record: type[Record], kept: Mapping[str, Any]) -> Record:
    """The record that ``as_json`` described; other keys are left alone.

    Raises:
        MechsteerError: a value against its rule, or a required one that is missing.
    """
    if not isinstance(kept, Mapping):
        raise MechsteerError(f"expected options by name, got {type(kept).__name__}")
    given = {name: kept[name] for name in options_of(record) if name in kept}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        if field.default is REQUIRED and field.name not in given:
            raise MechsteerError(f"expected a value of {field.name!r}, got none")
    return record(**given)


def arguments(options: Options) -> list[str]:
    """What to type for these options: the flags of all that differ from their defaults."""
    return [word for field in dataclasses.fields(options) for word in _typed(options, field)]  # type: ignore[arg-type]


def _typed(options: Options, field: dataclasses.Field[Any]) -> Iterator[str]:
    described: Option | None = field.metadata.get("option")
    value = getattr(options, field.name)
    if described is None or not described.flag or value == field.default:
        return
    if isinstance(value, bool):
        yield described.flag
        return
    text = described.typed(value)
    yield from [f"{described.flag}={text}"] if text.startswith("-") else [described.flag, text]


def records(given: Mapping[str, Any], *kinds: type[Record]) -> tuple[Any, ...]:
    """One record of each kind from keywords that are mixed.

    Raises:
        MechsteerError: a keyword that no kind has, with the closest ones, or a value out of range.
    """
    known = {kind: options_of(kind) for kind in kinds}
    every = [name for names in known.values() for name in names]
    for name in given:
        if name not in every:
            near = ", ".join(get_close_matches(name, every)) or ", ".join(every)
            raise MechsteerError(f"unknown option {name!r}: did you mean {near}?")
    return tuple(
        kind(**{name: value for name, value in given.items() if name in names})
        for kind, names in known.items()
    )


def takes(*kinds: type) -> Callable[[Function], Function]:
    """Show a function's ``**options`` as what they are: the fields of records, documented."""

    def derive(function: Function) -> Function:
        signature = inspect.signature(function)
        shown = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is REQUIRED else field.default,
                annotation=field.type,
            )
            for kind in kinds
            for field in dataclasses.fields(kind)
        ]
        function.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        lines = [
            f"{name}: {described.help}"
            for kind in kinds
            for name, described in options_of(kind).items()
        ]
        text = re.sub(
            r"^( *)\*\*options:.*$",
            lambda found: "\n".join(found[1] + line for line in lines),
            function.__doc__ or "",
            flags=re.MULTILINE,
        )
        function.__doc__ = text
        return function

    return derive


def _count(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _MOST:
        raise MechsteerError(f"expected a number from 0 to {_MOST}, got {shown(text)}")
    return number


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def _plain(value: Any) -> Any:
    """A number of numpy or torch as Python's own."""
    return value.item() if hasattr(value, "item") and not getattr(value, "ndim", 0) else value
