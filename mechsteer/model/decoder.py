"""What the decoder of an encoder-decoder reads: the sentence itself, one position to the right.

An encoder-decoder's decoder reads a start token and then, at position t + 1, token t of the very
sentence that the encoder reads (teacher forcing on the same sentence). The last token is never
read: it ends the sentence and is only predicted. Padding stays where it was.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from mechsteer.errors import ModelError
from mechsteer.model.device import n_embedded
from mechsteer.model.hugging_face import HuggingFaceModel

# start with the last token of a sentence, its language, as ``shift_tokens_right`` of mBART does
_STARTS_WITH_LAST = {"mbart", "plbart"}


def is_encoder_decoder(model: HuggingFaceModel) -> bool:
    """Whether a plain Hugging Face model has a decoder that reads tokens of its own.

    The encoder alone, ``T5EncoderModel`` say, comes with the same configuration.
    """
    said = bool(getattr(model.config, "is_encoder_decoder", False))
    return said and "decoder_input_ids" in inspect.signature(model.forward).parameters


def decoder_inputs(
    model: HuggingFaceModel, ids: Int[Tensor, "sentence token"], mask: Int[Tensor, "sentence token"]
) -> dict[str, Int[Tensor, "sentence token"]]:
    """The decoder's arguments for a batch padded on the right; none where there is no decoder.

    Args:
        model: a plain Hugging Face model.
        ids: what the encoder reads.
        mask: 1 where a token is no padding.

    Raises:
        ModelError: the configuration does not say which token starts the decoder.
    """
    if not is_encoder_decoder(model):
        return {}
    start = _start(model.config, ids, mask, n_embedded(model))
    shifted = torch.cat([start, ids[:, :-1]], dim=1)
    return {"decoder_input_ids": shifted, "decoder_attention_mask": mask}


def decoder_real(
    real: Bool[Tensor, "sentence token"], mask: Int[Tensor, "sentence token"]
) -> Bool[Tensor, "sentence token"]:
    """Decoder positions that hold real tokens: those of the sentence, one to the right.

    Raises:
        ModelError: a sentence ends with a real token, which the decoder would never read.
    """
    shifted = torch.cat([torch.zeros_like(real[:, :1]), real[:, :-1]], dim=1)
    if bool(real[:, -1].any()) or bool((shifted & ~mask.bool()).any()):
        raise ModelError(
            "a sentence ends with a real token, which a decoder shifted by one never reads: "
            "expected a tokenizer that ends sentences with a special token such as </s>"
        )
    return shifted


def by_token(z: Shaped[Tensor, "sentence token neuron"]) -> Shaped[Tensor, "sentence token neuron"]:
    """Decoder activations moved to the tokens that were read; 0 at the last, which is not."""
    return torch.cat([z[:, 1:], torch.zeros_like(z[:, :1])], dim=1)


def _require_embedded(token: int, n_words: int) -> None:
    if not 0 <= token < n_words:
        raise ModelError(
            f"decoder_start_token_id is {token}, and the model embeds {n_words} tokens: set it in "
            "config.json to the token its decoder was trained to start with"
        )


def _start(config: Any, ids: Tensor, mask: Tensor, n_words: int) -> Int[Tensor, "sentence 1"]:
    token = getattr(config, "decoder_start_token_id", None)
    if token is None:  # a decoder with a configuration of its own starts with its first token
        token = getattr(getattr(config, "decoder", None), "bos_token_id", None)
    if token is not None:
        _require_embedded(token, n_words)
        return torch.full_like(ids[:, :1], token)
    if config.model_type not in _STARTS_WITH_LAST:
        raise ModelError(
            f"the configuration of this {config.model_type} names no decoder_start_token_id: "
            "set it in config.json to the token its decoder was trained to start with"
        )
    return ids.gather(1, mask.long().sum(1, keepdim=True) - 1)
