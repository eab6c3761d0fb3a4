"""The stacks of blocks of a model: one, or those of an encoder and of a decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mechsteer.errors import SiteError
from mechsteer.model.sites.places import HookSite

_BLOCKS = {"": "blocks", "encoder": "encoder_blocks", "decoder": "decoder_blocks"}
_FINAL_NORM = {"": "ln_final", "encoder": "encoder_ln_final", "decoder": "decoder_ln_final"}


@dataclass(frozen=True)
class Stack:
    """The blocks of one stack, under the name that its components begin with."""

    name: str
    blocks: Any

    def component(self, kind: str) -> str:
        """``"post"``, or ``"encoder.post"``."""
        return f"{self.name}.{kind}" if self.name else kind

    def hook(self, layer: int, alias: str) -> str:
        """Name of a hook point of one block: ``"encoder_blocks.0.mlp.hook_post"``."""
        return f"{_BLOCKS[self.name]}.{layer}.{alias}"


def stacks_of(model: Any) -> tuple[Stack, ...]:
    """The stacks of a model in the order in which they run.

    Raises:
        SiteError: the model has no blocks.
    """
    found = {name: getattr(model, blocks, None) for name, blocks in _BLOCKS.items()}
    stacks = tuple(Stack(name, blocks) for name, blocks in found.items() if blocks is not None)
    if not stacks:
        raise SiteError(
            f"{model.cfg.architecture} has no stack of blocks: expected a decoder, an encoder or "
            "an encoder-decoder"
        )
    return stacks


def block_of(model: Any, point: HookSite) -> Any:
    """The block that a hook point lies in."""
    return getattr(model, _BLOCKS[point.stack])[point.layer]


def final_norm(model: Any, stack: str) -> tuple[str, Any] | None:
    """Name and module of the norm after a stack's last block, None where there is none.

    What TransformerLens calls ``ln_final`` in BERT is part of its prediction head.
    """
    name = _FINAL_NORM[stack]
    norm = getattr(model, name, None)
    place = getattr(norm, "name", None)
    return None if place is None or place.startswith(("cls.", "lm_head.")) else (name, norm)
