"""The model under test, on a few sentences that every model can be asked about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from mechsteer.corpus import LabelledCorpus
from mechsteer.model.hooks import read
from mechsteer.model.interface import Model
from mechsteer.model.sites import HookSite, Site
from mechsteer.recording.batches import plan_batches

# Scripts and lengths as unlike each other as fits a few lines.
SENTENCES = LabelledCorpus(
    {
        "eng_Latn": ("The cat sleeps by the door, and the dog waits for the rain to end.",),
        "fra_Latn": ("Le chat dort.",),
        "rus_Cyrl": ("Кошка спит у двери.",),
        "arb_Arab": ("القطة نائمة",),
        "hin_Deva": ("बिल्ली सो रही है।",),
        "cmn_Hans": ("猫在门边睡觉。",),
    },
    name="the self-test's sentences",
)


@dataclass(frozen=True)
class Subject:
    """A model, the sites it has, and one batch of sentences padded on the right."""

    model: Model
    tokenizer: Any
    sites: tuple[Site, ...]
    ids: Int[Tensor, "sentence token"]
    mask: Int[Tensor, "sentence token"]

    @property
    def dtype(self) -> torch.dtype:
        """Of the activations."""
        found: torch.dtype = next(self.model.parameters()).dtype
        return found

    @cached_property
    def activations(self) -> dict[str, Tensor]:
        """Every neuron on the batch, by hook point in the order that they fire."""
        hooks = [point.hook for point in self.points]
        return activations(self.model, hooks, self.ids, self.mask)

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """What a whole pass takes: tokens, mask, and what a decoder beside an encoder reads."""
        given: dict[str, Tensor] = {}

        def note(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
            decoder = {k: v for k, v in kwargs.items() if k.startswith("decoder_")}
            given.update({k: v for k, v in decoder.items() if isinstance(v, Tensor)})

        handle = self.model.original_model.register_forward_pre_hook(note, with_kwargs=True)
        try:
            activations(self.model, [self.points[-1].hook], self.ids, self.mask)
        finally:
            handle.remove()
        return {"input_ids": self.ids, "attention_mask": self.mask, **given}

    @torch.inference_mode()
    def logits(self) -> Tensor | None:
        """What a whole pass of the bridge ends in; None where the model has no head."""
        options = {name: value for name, value in self.inputs.items() if name != "input_ids"}
        found: Tensor | None = self.model(self.ids, return_type="logits", **options)
        return None if found is None else found.cpu()

    @property
    def points(self) -> tuple[HookSite, ...]:
        """The hook points of all sites."""
        return tuple(point for site in self.sites for point in site.points)

    @property
    def real(self) -> Tensor:
        """``[sentence, token]`` on the CPU, True where a token is not padding."""
        return self.mask.bool().cpu()


def subject(model: Model, sites: tuple[Site, ...], tokenizer: Any = None) -> Subject:
    """Tokenise the sentences for a model.

    Raises:
        ModelError: the tokenizer gives tokens that the model has no embedding of.
    """
    tokenizer = tokenizer or model.plain_tokenizer
    context, n_words = model.context_length(tokenizer), model.n_words
    plan = plan_batches(SENTENCES, tokenizer, context=context, n_words=n_words, truncate=True)
    batch = plan.batch(0).to(model.input_device)
    return Subject(model, tokenizer, sites, batch.ids, batch.mask)


def activations(model: Model, hooks: Iterable[str], ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """What passes some hook points, copied to the CPU, in the order that they fire."""
    seen: dict[str, Tensor] = {}

    def keeper(hook: str) -> Any:
        return lambda z: seen.__setitem__(hook, z.detach().to("cpu", copy=True))

    with torch.inference_mode():
        read(model, ids, mask, {hook: keeper(hook) for hook in hooks})
    return seen
