"""A file of flags: read for one command, and written from what a run was asked.

Its keys are the names of flags, ``also-pooling`` say, and of arguments (``model``). They stand at
the top, or under the name of a command, so that one file serves a whole run (what stands at the top
then means every command that has it)::

    model: embedded
    score:
      corpus: flores200
      split: dev
    study:
      test: flores200
      split: devtest
      k: [100, 500]

Values are read as if they were typed: ``no`` is Norwegian, and ``5`` a text that a flag may read as
a number. Each item of a list is one value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mechsteer.cli.parse.flags import MEANT, ListOption
from mechsteer.errors import MechsteerError, shown
from mechsteer.options import Options, options_of
from mechsteer.options.lists import joined

if TYPE_CHECKING:
    from yaml import Node

CONFIG = "config.yaml"
_NOT_GIVEN = ("", "~", "null")
_LARGEST = 1_000_000  # bytes: a file of flags has a few hundred

Value = str | list[str]


def defaults(path: Path, context: click.Context) -> dict[str, Any]:
    """What a file gives a command, by the names of its parameters.

    The ``config.yaml`` of a run says which run is meant, unless the line does.

    Raises:
        MechsteerError: no such file, no YAML, a key that is no flag of the command (the closest
            ones are named), one that stands twice, or a value that is neither text nor a list.
    """
    group = context.parent.command if context.parent else None
    commands = group.commands if isinstance(group, click.Group) else {}
    asked = context.command
    parts = list(_items(_root(path), path))
    sections = {key: node for key, node in parts if key in commands and _is_section(node)}
    read = {
        key: _values(_items(node, path), [commands[key]], path) for key, node in sections.items()
    }
    top = ((key, node) for key, node in parts if key not in sections)
    flat = _values(top, [asked, *(commands[key] for key in sections)], path, [*commands])
    return _own_run(path, asked) | flat | read.get(str(asked.name), {})


def _own_run(path: Path, command: click.Command) -> dict[str, Any]:
    """The run that a file lies in, for commands that write one or take one."""
    if not (path.parent / "manifest.json").is_file():
        return {}
    return {"output" if command.name == "score" else "run": path.parent}


def written(asked: Mapping[str, tuple[Mapping[str, Any], Options]]) -> str:
    """The file that asks the same again: for each command its arguments and its options."""
    import yaml

    sections = {
        command: {**named, **dict(_differing(options))}
        for command, (named, options) in asked.items()
    }
    return str(yaml.safe_dump(sections, allow_unicode=True, sort_keys=False, width=10**6))


def _differing(options: Options) -> Iterator[tuple[str, Any]]:
    described = options_of(options)
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        value, known = getattr(options, field.name), described.get(field.name)
        if known is None or not known.flag or value == field.default:
            continue
        some = {"": value, "count": known.typed(value) if known.many else "", "list": value}
        listed = list(value) if known.many == "list" else some[known.many]
        yield known.flag.removeprefix("--"), listed


def _root(path: Path) -> Node | None:
    import yaml

    try:
        if path.stat().st_size > _LARGEST:
            raise MechsteerError(f"{path} is larger than any file of flags")
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as error:
        raise MechsteerError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        said = str(getattr(error, "problem", error)).partition("\n")[0]
        raise MechsteerError(f"{where} is no YAML: {said}") from None
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise MechsteerError(f"{path}: expected flags by name, as `corpus: flores200`")
    return root


def _items(node: Any, path: Path) -> Iterator[tuple[str, Node]]:
    seen: set[str] = set()
    for key_node, value in node.value if node and node.value not in _NOT_GIVEN else ():
        if not isinstance(key_node.value, str):
            raise MechsteerError(f"{_at(path, key_node)}: expected the name of a flag")
        key = key_node.value.strip().removeprefix("--").replace("_", "-")
        if key in seen:
            raise MechsteerError(f"{_at(path, key_node)}: {key!r} stands twice")
        seen.add(key)
        yield key, value


def _values(
    items: Iterable[tuple[str, Node]],
    commands: Sequence[click.Command],
    path: Path,
    sections: Sequence[str] = (),
) -> dict[str, Value]:
    """Values by the names of the first command's parameters; keys of the others are known too."""
    known = [{name: each for each in own.params for name in _names(each)} for own in commands]
    found: dict[str, Value] = {}
    for key, node in items:
        parameter = next((own[key] for own in known if key in own), None)
        if parameter is None:
            every = [*dict.fromkeys(name for own in known for name in own), *sections]
            now = MEANT.get((str(commands[0].name), f"--{key}"), "").removeprefix("--")
            if key in sections:
                raise MechsteerError(f"{_at(path, node)}: {key}: expected flags by name")
            near = [now] if now else get_close_matches(key, every)
            meant = f"did you mean {', '.join(near)}?" if near else f"expected {_all(known[0])}"
            raise MechsteerError(
                f"{_at(path, node)}: {commands[0].name} has no {shown(key)}: {meant}"
            )
        value = _read(node, path, parameter, key)
        if key in known[0] and value is not None:
            found[str(parameter.name)] = value
    return found


def _read(node: Node, path: Path, parameter: click.Parameter, key: str) -> Value | None:
    import yaml

    several = getattr(parameter, "multiple", False) or parameter.nargs == -1
    if isinstance(node, yaml.ScalarNode):
        if node.style is None and node.value in _NOT_GIVEN:
            return None
        return [node.value] if several else str(node.value)
    items: list[Any] = node.value if isinstance(node, yaml.SequenceNode) and several else [None]
    texts = [str(item.value) for item in items if isinstance(item, yaml.ScalarNode)]
    if len(texts) < len(items):
        what = "a value or a list of values" if several else "one value"
        raise MechsteerError(f"{_at(path, node)}: {key}: expected {what}")
    return [joined([text]) for text in texts] if isinstance(parameter, ListOption) else texts


def _names(parameter: click.Parameter) -> list[str]:
    """What a file may call a parameter."""
    if not parameter.expose_value:
        return []
    if isinstance(parameter, click.Argument):
        return [str(parameter.name)]
    return [name.removeprefix("--") for name in parameter.opts if name.startswith("--")]


def _is_section(node: Node) -> bool:
    """Whether a node holds flags by name; one of nothing holds none."""
    import yaml

    return isinstance(node, yaml.MappingNode) or node.value in _NOT_GIVEN


def _all(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _at(path: Path, node: Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"
