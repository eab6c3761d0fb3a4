"""What mechsteer needs of a model, whoever made it.

``BridgeModel`` is the view of a TransformerBridge, ``PlainModel`` that of a Hugging Face model;
``mechsteer.model.wrap`` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mechsteer.errors import ArtifactError, ModelError, shown
from mechsteer.model.decoder import decoder_inputs, is_encoder_decoder
from mechsteer.model.device import n_embedded, token_device
from mechsteer.model.identity import (
    Fingerprint,
    ModelIdentity,
    difference,
    fingerprint,
    identify,
)
from mechsteer.model.stacks import Stack, find_stacks
from mechsteer.model.tokenizer import load_tokenizer, settled
from mechsteer.model.view import View
from mechsteer.model.weights import Origin


class Model(View):
    """One model: blocks, tokenizer, identity, and how it is run; see ``View`` for the rest."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._tokenizer: Any = None
        self._origin: Origin | Callable[[], Origin | None] | None = None

    # what it is

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks of blocks in the order in which they run.

        Raises:
            SiteError: the model has no blocks.
        """
        return find_stacks(self, str(self.cfg.architecture))

    def stack(self, name: str) -> Stack:
        """The stack of that name: ``""``, ``"encoder"`` or ``"decoder"``."""
        return next(stack for stack in self.stacks if stack.name == name)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        found: torch.dtype = next(self.original_model.parameters()).dtype
        return found

    @property
    def input_device(self) -> torch.device:
        """Where tokens go: beside the embedding."""
        return token_device(self.original_model)

    @property
    def n_words(self) -> int:
        """Token ids that it embeds: those below this number."""
        return n_embedded(self.original_model)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether a decoder reads tokens of its own beside an encoder."""
        return is_encoder_decoder(self.original_model)

    @property
    def is_causal(self) -> bool:
        """Whether each token is predicted from those before it alone."""
        causal = getattr(self.cfg, "attention_dir", "causal") == "causal"
        return causal and not self.is_encoder_decoder

    # its words

    @property
    def plain_tokenizer(self) -> Any:
        """The checkpoint's own tokenizer, padding on the right.

        Not a bridge's ``tokenizer``: TransformerLens loads that one anew with a forced
        beginning-of-sequence token, which many models were never trained with.

        Raises:
            ModelError: the model does not say where its tokenizer lies.
        """
        if self._tokenizer is None:
            revision = getattr(getattr(self.original_model, "config", None), "_commit_hash", None)
            self._tokenizer = load_tokenizer(self.source, revision=revision)
        return self._tokenizer

    @plain_tokenizer.setter
    def plain_tokenizer(self, tokenizer: Any) -> None:
        self._tokenizer = settled(tokenizer)

    def context_length(self, tokenizer: Any = None) -> int:
        """Tokens it takes; the tokenizer knows better where positions start at an offset.

        Raises:
            ModelError: its configuration, or the tokenizer's, says no number above 0.
        """
        words = self.plain_tokenizer if tokenizer is None else tokenizer
        return min(_tokens(self.cfg, "n_ctx"), _tokens(words, "model_max_length"))

    # who it is

    def identity(self, tokenizer: Any = None) -> ModelIdentity:
        """What it is known by.

        Args:
            tokenizer: the plain one by default.
        """
        words = self.plain_tokenizer if tokenizer is None else tokenizer
        return identify(self.fingerprint(), self.cfg, self.dtype, words)

    def fingerprint(self) -> Fingerprint:
        """Hashes of configuration and weights as they are now, however they were changed."""
        return fingerprint(self.original_model, self.cfg, self.origin)

    @property
    def origin(self) -> Origin | None:
        """The checkpoint that the weights came from; None where that is not known."""
        if callable(self._origin):
            self._origin = self._origin()
        return self._origin

    def came_from(self, found: Origin | Callable[[], Origin | None] | None) -> None:
        """Say where the weights came from, or how to find out once somebody asks."""
        self._origin = found

    def require_same(self, expected: ModelIdentity) -> None:
        """Refuse what was made with another model; the same in another precision is the same.

        Raises:
            ArtifactError: configuration or weights differ from those of ``expected``.
        """
        if found := difference(self.fingerprint(), expected):
            raise ArtifactError(
                f"this was made with {expected.name} ({expected.architecture}, {expected.n_layers} "
                f"layers), and {self.cfg.model_name} has {found}: load that model, or score this "
                "one"
            )

    # how it is run

    def run(self, ids: Int[Tensor, "sentence token"], mask: Int[Tensor, "sentence token"]) -> None:
        """One forward pass without logits or cache, for what hooks see of it.

        The decoder of an encoder-decoder reads the same sentences one position to the right.
        """
        inputs = {"attention_mask": mask, **self.decoder_inputs(ids, mask)}
        self(ids, **inputs, return_type=None, use_cache=False)

    def decoder_inputs(
        self, ids: Int[Tensor, "sentence token"], mask: Int[Tensor, "sentence token"]
    ) -> dict[str, Int[Tensor, "sentence token"]]:
        """The decoder's arguments for a batch; none where there is no decoder.

        Raises:
            ModelError: the configuration does not say which token starts the decoder.
        """
        return decoder_inputs(self.original_model, ids, mask)

    def require_eval(self) -> None:
        """Refuse train mode: dropout would make every number random.

        Raises:
            ModelError: the model, or any part of it that has parameters or dropout, trains.
        """
        parts = self.original_model.modules()
        if self.module.training or any(part.training for part in parts):
            raise ModelError(
                "the model is in train mode, where dropout is random: call model.eval()"
            )

    def require_causal(self) -> None:
        """Refuse a model that does not predict each token from those before it.

        Raises:
            ModelError: its attention looks both ways, or it is an encoder-decoder.
        """
        if self.is_encoder_decoder:
            raise ModelError(
                f"{self.cfg.architecture} is an encoder-decoder, which predicts a translation and "
                "not the text it reads: expected a causal model"
            )
        if not self.is_causal:
            raise ModelError(
                f"{self.cfg.architecture} looks both ways, or has no head, so it predicts and "
                "generates nothing: expected a causal model with its language-model head"
            )


def _tokens(owner: Any, name: str) -> int:
    said = getattr(owner, name, None)
    if not isinstance(said, (int, float)) or not said >= 1 or said == math.inf:
        raise ModelError(
            f"a {type(owner).__name__} says that it takes {name} = {shown(said)} tokens, expected "
            "1 or more: copy its configuration again"
        )
    return int(said)
