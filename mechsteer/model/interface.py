"""What mechsteer needs of a model, whoever made it.

A ``Model`` is a view: it holds no weights of its own, and what it does not define itself is that of
the module it is a view of. ``BridgeModel`` is the view of a TransformerBridge, ``PlainModel`` that
of a Hugging Face model; ``mechsteer.model.wrap`` makes them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor, nn

from mechsteer.errors import ArtifactError, ModelError
from mechsteer.model.decoder import decoder_inputs, is_encoder_decoder
from mechsteer.model.device import n_embedded, token_device
from mechsteer.model.facts import Facts
from mechsteer.model.identity import (
    Fingerprint,
    ModelIdentity,
    difference,
    fingerprint,
    identify,
)
from mechsteer.model.stacks import Stack, find_stacks
from mechsteer.model.tokenizer import load_tokenizer, settled
from mechsteer.model.weights import Origin

_Self = TypeVar("_Self", bound="Model")


Writer = Literal["transformers", "TransformerLens"]
"""Whose ``generate`` writes: the Hugging Face model's own, or that of the bridge."""


class Model(ABC):
    """One model: hook points, blocks, tokenizer, identity, and how it is run.

    Attributes:
        module: what the user holds and calls: a TransformerBridge, a Hugging Face or a PEFT model.
        watcher: who is told when it generates, see ``mechsteer.steering.generation``.
        runs_once: names of hook points that were seen to run once in a forward pass.
        facts: what else was found out about it once.
        writer: whose code its ``generate`` is.
    """

    writer: Writer = "transformers"

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module
        self.watcher: object = None
        self.runs_once: set[str] = set()
        self.facts = Facts()
        self._added: dict[str, Any] = {}
        self._tokenizer: Any = None
        self._origin: Origin | Callable[[], Origin | None] | None = None

    # what differs between a bridge and a plain model

    @property
    @abstractmethod
    def original_model(self) -> Any:
        """The Hugging Face model that runs."""

    @property
    @abstractmethod
    def cfg(self) -> Any:
        """``architecture``, ``model_name``, ``d_model``, ``n_layers``, ``n_ctx`` and more."""

    @property
    @abstractmethod
    def hook_dict(self) -> dict[str, Any]:
        """Every hook point by its names, those that mechsteer added too.

        Ask once and keep the answer: TransformerLens builds the table anew at each access.
        """

    @abstractmethod
    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run the model on token ids, as a bridge is called; logits unless told otherwise."""

    @abstractmethod
    def generate(self, *args: Any, **options: Any) -> Any:
        """Continue a prompt, given as text or as token ids ``[sentence, token]``."""

    @abstractmethod
    def require_raw(self) -> None:
        """Refuse processed weights, which shift the residual stream of LayerNorm models.

        Raises:
            ModelError: the bridge is in compatibility mode.
        """

    @property
    @abstractmethod
    def source(self) -> str:
        """The name or folder that the model says it was loaded from, or ``""``."""

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
        """Tokens it takes; the tokenizer knows better where positions start at an offset."""
        words = self.plain_tokenizer if tokenizer is None else tokenizer
        return min(int(self.cfg.n_ctx), int(words.model_max_length))

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

    def add_hook_point(self, name: str) -> Any:
        """A hook point of ours, which ``hook_dict`` lists beside the model's own."""
        from transformer_lens.hook_points import HookPoint

        point = HookPoint()
        point.name = name
        self._added[name] = point
        return point

    def drop_hook_point(self, name: str) -> None:
        """Forget a hook point of ours."""
        del self._added[name]

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

    # what stays with the module

    def eval(self: _Self) -> _Self:
        """Leave train mode."""
        self.module.eval()
        return self

    def train(self: _Self, mode: bool = True) -> _Self:
        """Enter train mode, which every measurement refuses."""
        self.module.train(mode)
        return self

    def __getattr__(self, name: str) -> Any:
        """What the module has, where the view has nothing of that name."""
        if name.startswith("__") or "module" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.module, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.cfg.architecture}, {self.cfg.model_name!r})"
