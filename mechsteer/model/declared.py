"""What a configuration declares, against what the weights beside it hold.

A configuration is a few numbers that anybody can write: a model of 10⁹ layers, or of 10⁹ words,
would be built for hours, or fill the memory. The headers of the weight files bound it: what is
absurd by itself is refused here, and ``mechsteer.model.building`` stops transformers as soon as it
asks for much more than there is. Where it asks for a little more, the tensors that are missing are
named, see ``mechsteer.model.complete``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mechsteer.errors import ModelError
from mechsteer.model.held import FEW_NUMBERS, TIMES, Held, grouped, whole_numbers
from mechsteer.model.reasons import ONE_MODEL

# what transformers makes lists and loops of before any tensor, with how many are let through
_LOOPS = (
    (
        re.compile(
            r"^(?:n|num|encoder|decoder)_(?:\w+_)?(?:layers?|blocks|stages|groups)$|^block_count$"
        ),
        1000,
    ),
    (re.compile(r"^num_(?:\w+_)?labels$"), 1 << 17),
)
_UNKNOWN = 1 << 14, 1 << 36  # tensors and numbers of a model that is not there yet
# sizes of tensors, of which no model has fewer than the number beside them
_SIZES = {
    1: re.compile(
        r"^(?:vocab_size|hidden_size|d_model|n_embd|n_head|n_heads|num_attention_heads)$"
    ),
    0: re.compile(
        r"^(?:(?:\w+_)?(?:intermediate_size|ffn_dim|experts|attention_heads|key_value_heads|head_dim"
        r"|hidden_size|layers)|block_count|(?:embedding|feed_forward|key|value)_length|(?:head|expert)_count\w*|d_\w+|n_inner|embedding_size|num_heads)$"
    ),
}


def require_sizes(config: Mapping[str, Any], held: Held | None, file: str = "config.json") -> None:
    """Refuse a configuration of more layers than its weights have tensors, or of absurd sizes.

    Up to 1,000 layers are let through, and sizes up to 2²⁸: missing tensors are named later.

    Args:
        config: the JSON object of ``config.json``, with others inside.
        held: what its weights hold, None where that is not known yet.
        file: that says so; of a GGUF file, ``config`` is its settings.

    Raises:
        ModelError: the setting is named.
    """
    for place, value in whole_numbers(config):
        least, most = _range_of(place.rpartition(".")[2], held)
        if not least <= value <= most:
            bound = f"at most {most:,}" if value > most else f"at least {int(least)}"
            known = f", and {held.where} holds {held}" if held and value > most else ""
            raise ModelError(
                f"{file} says {place} = {grouped(value)}, expected {bound}{known}: {ONE_MODEL}"
            )


def _range_of(key: str, held: Held | None) -> tuple[float, float]:
    """The least and the most that a setting can be."""
    tensors, numbers = (held.tensors, held.numbers) if held else _UNKNOWN
    least = next((number for number, names in _SIZES.items() if names.match(key)), None)
    for names, few in _LOOPS:
        if names.match(key):
            return least or 0, max(few, tensors)
    if least is None:
        return -math.inf, math.inf
    return least, max(FEW_NUMBERS, TIMES * numbers)


def require_layers(model: Any, name: str) -> None:
    """Refuse a model without a layer, which a configuration of 0 or fewer makes.

    Raises:
        ModelError: it has none.
    """
    if int(model.cfg.n_layers) < 1:
        raise ModelError(
            f"cannot load {name!r}: its configuration says {int(model.cfg.n_layers)} layers, "
            f"expected 1 or more: {ONE_MODEL}"
        )
