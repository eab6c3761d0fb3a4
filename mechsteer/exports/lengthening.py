"""More blocks in a plain model, and the configuration that makes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from mechsteer.errors import MechsteerError

_PER_LAYER = re.compile("layer|block")
_INDEX = re.compile(r"layer_(idx|id|index|number)$")


class Unlayered(MechsteerError):  # noqa: N818 - the vector may still be had from a bias
    """The model computes something else once it has more layers."""


def lengthen(plain: Any, blocks: str, new: Sequence[tuple[int, int, nn.Module]]) -> None:
    """Insert blocks into a list of a model, and into its configuration.

    Args:
        plain: a model of transformers, which is changed.
        blocks: the list's name.
        new: blocks, each with the number of the one before which it comes, and of a neighbour
            that it is like; those of one number follow each other.

    Raises:
        Unlayered: no configuration makes such a model.
    """
    where: Any = plain.get_submodule(blocks)
    before, order = len(where), sorted(new, key=lambda pair: pair[0])
    for index, _, block in reversed(order):
        where.insert(index, block)
    _number(where)
    _grow(plain, before, [like for _, like, _ in order])


def _number(blocks: Iterable[nn.Module]) -> None:
    """Tell blocks their numbers, by which caches keep what they have seen."""
    for index, block in enumerate(blocks):
        for module in block.modules():
            for name, value in vars(module).items():
                if _INDEX.match(name) and isinstance(value, int):
                    setattr(module, name, index)


def _grow(plain: Any, before: int, at: list[int]) -> None:
    """Let the configuration have a model's number of blocks, which was another one before.

    Args:
        plain: with all its blocks.
        before: how many blocks the list had.
        at: the blocks beside which others of their kind came.

    Raises:
        Unlayered: it makes no such model.
    """
    fields = {
        name: value
        for name, value in vars(plain.config.get_text_config()).items()
        if _PER_LAYER.search(name)
    }
    lists = {
        name: _repeated(value, at)
        for name, value in fields.items()
        if isinstance(value, list | tuple) and len(value) == before
    }
    numbers = [name for name, value in fields.items() if type(value) is int and value == before]
    # what caches count, in decoders whose own number has another name
    depth = plain.config.attribute_map.get("num_hidden_layers", "num_hidden_layers")
    both = [(name, depth) for name in numbers if depth in numbers and name != depth]
    for names in (*both, *((name,) for name in numbers)):
        changes = {**lists, **dict.fromkeys(names, before + len(at))}
        if _makes(_changed(deepcopy(plain.config), changes), plain):
            _changed(plain.config, changes)
            return
    raise Unlayered(f"no number of {type(plain.config).__name__} makes {before + len(at)} layers")


def _changed(config: Any, changes: dict[str, Any]) -> Any:
    """A configuration with other values."""
    for field, value in changes.items():
        setattr(config.get_text_config(), field, value)
    return config


def _repeated(values: Any, at: list[int]) -> list[Any]:
    return [value for i, value in enumerate(values) for _ in range(1 + at.count(i))]


def _makes(config: Any, plain: Any) -> bool:
    """Whether a configuration makes the very modules of a plain model, settings and all."""
    try:
        with torch.device("meta"):
            built = type(plain)(config)
    except Exception:  # what a class thinks of a configuration that is none of its own
        return False
    shapes = [
        {name: p.shape for name, p in model.named_parameters(remove_duplicate=False)}
        for model in (built, plain)
    ]
    return shapes[0] == shapes[1] and _settings(built) == _settings(plain)


def _settings(model: nn.Module) -> dict[tuple[str, str], Any]:
    """What modules keep beside their weights, a window or a kind of attention say."""
    return {
        (where, name): value
        for where, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, int | float | str | None)
        and not name.startswith("_")
        and name not in ("training", "name_or_path")
    }
