"""From records of options to flags of a command, and from their texts to values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mechsteer.errors import MechsteerError, shown
from mechsteer.options import REQUIRED, Option, Options, options_of
from mechsteer.options.rules import K, Rule, read_k

Command = TypeVar("Command", bound=Callable[..., Any])
EXPERTS = Option("Experts: a number, or a fraction of all neurons.", K, "--k", read=read_k)
MEANT = {
    ("select", "--label"): "--concept",
    ("edit", "--label"): "--concept",
    ("cost", "--text"): "--corpus",
    ("cost", "--test"): "--corpus",
    ("score", "--test"): "--corpus",
    ("study", "--text"): "--cost-corpus",
    ("study", "--corpus"): "--test",
    ("study", "--test-split"): "--split",
    ("study", "--test-rows"): "--rows",
    ("study", "--test-limit"): "--limit",
    ("transfer", "--test"): "--labels",
}
"""Flags of other commands, and what to type in this one instead."""
_METAVARS: dict[Any, str] = {int: "INTEGER", float: "FLOAT"}


class ListOption(click.Option):
    """A flag that takes several values, see ``mechsteer.options.lists``."""


def flags(record: type[Options]) -> Callable[[Command], Command]:
    """Give a command one flag for each option of a record; values arrive read and checked."""

    def add(command: Command) -> Command:
        described = options_of(record)
        for field in reversed(dataclasses.fields(record)):  # type: ignore[arg-type]
            if (option := described.get(field.name)) and option.flag:
                command = flag(field.name, option, field.default)(command)
        return command

    return add


def flag(name: str, option: Option, default: Any = None) -> Callable[[Command], Command]:
    """Give a command one flag; its value arrives read and checked."""
    if default is False:
        return click.option(option.flag, name, is_flag=True, help=option.help)
    given = default not in (None, REQUIRED, ())
    several = option.many == "list"
    return click.option(
        option.flag,
        name,
        cls=ListOption if several else click.Option,
        type=click.Choice(option.rule.choices) if option.rule.choices and not option.many else str,
        multiple=several,
        metavar="LIST" if several else _metavar(option),
        required=default is REQUIRED,
        # a default of None would count as one, and nothing would be missing
        **({"default": _shown(option, default), "show_default": True} if given else {}),
        callback=_reader(option, default),
        help=option.help,
    )


def _metavar(option: Option) -> str | None:
    return "INTEGER" if option.many == "count" else _METAVARS.get(option.read)


def _shown(option: Option, default: Any) -> str | list[str]:
    """A default as click takes it."""
    text = option.typed(default)
    return [text] if option.many == "list" else text


def _reader(option: Option, default: Any) -> Callable[..., Any]:
    def read(context: click.Context, parameter: click.Parameter, text: Any) -> Any:
        del context, parameter
        if text is None or text == ():
            return () if default is None and option.many else default
        try:
            if option.many == "list":
                return option.checked([value for part in text for value in option.parsed(part)])
            return option.parsed(text)
        except MechsteerError as error:
            raise click.BadParameter(str(error)) from None

    return read


def within(rule: Rule) -> Callable[..., Any]:
    """What refuses values against a rule, of an option that click reads itself."""

    def check(context: click.Context, parameter: click.Parameter, given: Any) -> Any:
        del context, parameter
        for value in given if isinstance(given, tuple) else (given,):
            if value is not None and not rule.holds(value):
                raise click.BadParameter(f"expected {rule.expected}, got {shown(value)}")
        return given

    return check
