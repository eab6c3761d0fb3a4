"""The stacks of blocks of a model: one, or those of an encoder and of a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mechsteer.errors import SiteError

_BLOCKS = {"": "blocks", "encoder": "encoder_blocks", "decoder": "decoder_blocks"}
_FINAL_NORM = {"": "ln_final", "encoder": "encoder_ln_final", "decoder": "decoder_ln_final"}


@dataclass(frozen=True)
class Stack:
    """The blocks of one stack.

    Attributes:
        name: ``""``, ``"encoder"`` or ``"decoder"``; the stack's components begin with it.
        blocks: in the order in which they run; each has an ``mlp`` with ``W_out``.
        norm: name and module of the norm after the last block; None where there is none. What
            TransformerLens calls ``ln_final`` in BERT is part of its prediction head.
    """

    name: str
    blocks: Sequence[Any]
    norm: tuple[str, Any] | None

    def component(self, kind: str) -> str:
        """``"post"``, or ``"encoder.post"``."""
        return f"{self.name}.{kind}" if self.name else kind

    def hook(self, layer: int, alias: str) -> str:
        """Name of a hook point of one block: ``"encoder_blocks.0.mlp.hook_post"``."""
        return f"{_BLOCKS[self.name]}.{layer}.{alias}"


def find_stacks(owner: Any, architecture: str) -> tuple[Stack, ...]:
    """The stacks of what has blocks under TransformerLens's names, in the order they run.

    Raises:
        SiteError: it has no blocks.
    """
    found = {name: getattr(owner, blocks, None) for name, blocks in _BLOCKS.items()}
    stacks = tuple(
        Stack(name, tuple(blocks), _final_norm(owner, name))
        for name, blocks in found.items()
        if blocks is not None
    )
    if not stacks:
        raise SiteError(
            f"{architecture} has no stack of blocks: expected a decoder, an encoder or an "
            "encoder-decoder"
        )
    return stacks


def _final_norm(owner: Any, stack: str) -> tuple[str, Any] | None:
    name = _FINAL_NORM[stack]
    norm = getattr(owner, name, None)
    place = getattr(norm, "name", None)
    return None if place is None or place.startswith(("cls.", "lm_head.")) else (name, norm)
