"""What a neuron writes, in the words of the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from mechsteer.errors import ModelError
from mechsteer.model.derived import SparseAutoencoder, Whole, derivation_of
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, direct_path, residual_points
from mechsteer.recording.finite import remedy

_ROWS = ("post", "gate", "up")  # components whose neuron j writes row j of W_out


@torch.inference_mode()
def vocabulary_logits(model: Model, point: HookSite, neuron: int) -> Float[Tensor, " token"] | None:
    """Logits that a neuron's row of ``W_out`` alone gives, in float32.

    ``W_U · path(W_out[neuron])``: the model's own way from the down-projection to the unembedding
    with all else silent, see ``direct_path``. A norm after the MLP, multipliers of the residual
    stream and the final norm act by gain and centring; their biases cancel. These are the changes
    of the logits under a small edit of the neuron, up to a positive factor, as far as they come
    from the write itself: left out is that a norm then also divides all else by another size (which
    moves logits along those there are), what later layers make of the write, and a soft cap of the
    logits, which keeps their order. So the order of tokens means something and the scale does not.

    A latent of an autoencoder writes its row of ``W_dec``, to the residual stream or by the neurons
    of an MLP, whichever it reads; a dimension of the residual stream writes itself.

    None where a neuron has no such row (component ``down``, attention, experts of a mixture),
    nothing turns the stream into words (the heads of encoders do more), a decoder follows, or the
    weights are offloaded.

    Source: Geva et al. 2022 (2203.14680), section 3, with the norms' gains; Bloom and Lin 2024,
    "Understanding SAE features with the logit lens", for latents.
    """
    unembedding = model.unembedding
    if point.stack == "encoder" or unembedding is None or unembedding.is_meta:
        return None
    if (write := _write(model, point, neuron)) is None or write.direction.is_meta:
        return None
    path = direct_path(model, point, write.direction[None], row=write.row)[0]
    logits: Tensor = path.to(unembedding.device) @ unembedding.float()
    return logits


class _Write(NamedTuple):
    """What a neuron adds, and to which row of the residual stream; None: by its block's MLP."""

    direction: Float[Tensor, " d_model"]
    row: int | None = None


def _write(model: Model, point: HookSite, neuron: int) -> _Write | None:
    if point.kind in _ROWS:
        return _Write(_w_out(model, point)[neuron])
    base, derivation = derivation_of(model, point.hook) or ("", None)
    if isinstance(derivation, SparseAutoencoder):
        v = derivation.writes(neuron)
    elif isinstance(derivation, Whole):
        v = one_hot(torch.tensor(neuron), point.width).float()
    else:
        return None
    rows = [row.hook for row in residual_points(model, model.stack(point.stack))]
    if base in rows:
        return _Write(v.to(model.input_device), rows.index(base))
    w = _w_out(model, point)
    return _Write(w if w.is_meta else v.to(w.device) @ w.float())


def _w_out(model: Model, point: HookSite) -> Float[Tensor, "neuron d_model"]:
    found: Tensor = model.stack(point.stack).blocks[point.layer].mlp.W_out
    return found


def written(
    model: Model, tokenizer: Any, point: HookSite, neuron: int, *, count: int = 12
) -> pd.DataFrame:
    """Tokens a neuron promotes and suppresses most: direction, place (from 1), token, logit.

    A token that is part of a character is shown as its bytes, for example ``<E3-81>``.

    Raises:
        ModelError: a logit is not finite.
    """
    logits = vocabulary_logits(model, point, neuron)
    columns = ["direction", "place", "token", "logit"]
    if logits is None:
        return pd.DataFrame(columns=columns).astype({"place": int, "logit": float})
    if not logits.isfinite().all():
        raise ModelError(
            f"what neuron {neuron} of {point.layer_name} writes is not finite: "
            f"{remedy(model.dtype)}"
        )
    known = logits[: len(tokenizer)].cpu()  # rows beyond the tokenizer's only pad the matrix
    rows = []
    for direction, sign in (("promoted", 1), ("suppressed", -1)):
        order = (sign * known).sort(descending=True, stable=True).indices[:count].tolist()
        words = spelled(tokenizer, order)
        rows += [
            (direction, place, word, known[token].item())
            for place, (token, word) in enumerate(zip(order, words, strict=True), 1)
        ]
    return pd.DataFrame(rows, columns=columns)


def spelled(tokenizer: Any, tokens: Sequence[int]) -> list[str]:
    """Text of single tokens, spaces kept; the bytes of those that are no whole character."""
    words = []
    for token in tokens:
        text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
        words.append(_bytes(tokenizer, token) if "\N{REPLACEMENT CHARACTER}" in text else text)
    return words


def _bytes(tokenizer: Any, token: int) -> str:
    """Bytes of a byte-level token; its own name where the tokenizer spells them differently."""
    from tokenizers.pre_tokenizers import ByteLevel

    name = str(tokenizer.convert_ids_to_tokens(token))
    letters = sorted(ByteLevel.alphabet())
    if not set(name) <= set(letters):
        return name
    return f"<{'-'.join(f'{_byte(letter):02X}' for letter in name)}>"


def _byte(letter: str) -> int:
    """The byte a letter stands for: printable Latin-1 for itself, the others from 256 on in order.

    Source: Radford et al. 2019, ``bytes_to_unicode`` of GPT-2's encoder.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if ord(letter) < 256:
        return ord(letter)
    return [byte for byte in range(256) if byte not in printable][ord(letter) - 256]
