"""A plain Hugging Face model behind mechsteer's interface.

For models that users hold, for architectures TransformerLens has no adapter for, and checkpoints
without the head its adapters expect (sentence encoders, say). The model runs untouched, with the
attention it was loaded with: forward hooks pass its activations through hook points under the
bridge's names. What is a block, its down-projection and the final norm is found by structure and
verified on a forward pass; what is not certain is refused.
"""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from mechsteer.model.decoder import is_encoder_decoder
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.interface import Model
from mechsteer.model.plain.points import OnInput, OnOutput
from mechsteer.model.plain.structure import PlainStack, find_stack, unsupported
from mechsteer.model.plain.verify import verified_norm

# what configurations call the number of tokens a model takes
_CONTEXTS = ("max_position_embeddings", "max_seq_len", "seq_length")


class PlainNorm:
    """The norm after the last block."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.name = module, "norm"
        self.parameters = module.parameters

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise a residual stream."""
        out: Tensor = self.module(x)
        return out


class PlainModel(Model):
    """A Hugging Face model in eval mode, with hook points.

    Args:
        model: the Hugging Face model; it gets forward hooks that change nothing, and no more.
        name: where it was loaded from.
        outer: what the user calls, where that is a PEFT model around it.

    Raises:
        ModelError: the blocks, their neurons or the residual stream cannot be told for certain.
    """

    def __init__(self, model: HuggingFaceModel, name: str, *, outer: Any = None) -> None:
        super().__init__(model if outer is None else outer)
        self._plain = model
        self._names = frozenset(inspect.signature(model.forward).parameters)
        self._points: dict[str, Any] = {}
        stacks = _verified_stacks(model)
        for prefix, (stack, norm) in stacks.items():
            self._hook(prefix, stack, norm)
        self._cfg = SimpleNamespace(
            architecture=type(model).__name__,
            model_name=name,
            d_model=int(model.config.hidden_size),
            n_layers=len(next(iter(stacks.values()))[0].blocks),
            n_ctx=_context(model),
            attention_dir="causal" if model.can_generate() else "bidirectional",
        )
        model.train(model.training)  # modules that were put in later are in train mode

    @property
    def original_model(self) -> HuggingFaceModel:
        """See ``Model``."""
        return self._plain

    @property
    def cfg(self) -> SimpleNamespace:
        """See ``Model``."""
        return self._cfg

    @property
    def hook_dict(self) -> dict[str, Any]:
        """See ``Model``."""
        return {**self._points, **self._added}

    @property
    def unembedding(self) -> Tensor | None:
        """See ``Model``; the heads of encoders do more than that."""
        written = self.is_causal or self.is_encoder_decoder
        head = self._plain.get_output_embeddings() if written else None
        return None if head is None else head.weight.T

    @property
    def source(self) -> str:
        """See ``Model``."""
        return str(getattr(self._plain.config, "_name_or_path", ""))

    def __call__(
        self, ids: Tensor, *args: Any, return_type: str | None = "logits", **inputs: Any
    ) -> Any:
        """Logits, where the model has a head and ``return_type`` is not None."""
        if "use_cache" not in self._names:
            inputs.pop("use_cache", None)
        with self.facts.lock:
            out = self._plain(ids, *args, **inputs)
        return None if return_type is None else getattr(out, "logits", None)

    @torch.inference_mode()
    def generate(self, prompt: str | Tensor, **options: Any) -> Any:
        """Continue a prompt with transformers' own ``generate``.

        Args:
            prompt: text, which gives text back, or token ids ``[sentence, token]``.
            options: of ``generate``.
        """
        if not isinstance(prompt, str):
            with self.facts.lock:
                return self._plain.generate(prompt, **options)
        words = self.plain_tokenizer
        given = words(prompt, return_tensors="pt").to(self.input_device)
        with self.facts.lock:
            written = self._plain.generate(
                given["input_ids"], attention_mask=given["attention_mask"], **options
            )
        return words.decode(written[0], skip_special_tokens=True)

    def require_raw(self) -> None:
        """See ``Model``: a plain model's weights are never processed."""

    def _hook(self, prefix: str, stack: PlainStack, norm: nn.Module | None) -> None:
        """Pass what a stack computes through hook points."""
        name = f"{prefix}blocks"
        blocks = zip(stack.blocks, stack.mlps, strict=True)
        setattr(self, name, [SimpleNamespace(original_component=b, mlp=mlp) for b, mlp in blocks])
        for layer, (block, mlp) in enumerate(zip(stack.blocks, stack.mlps, strict=True)):
            at = f"{name}.{layer}"
            OnInput(mlp.out, self._point(f"{at}.mlp.hook_post"))
            OnOutput(mlp.out, self._point(f"{at}.mlp.out.hook_out"))
            if (up := getattr(mlp, "in")) is not None:
                pre = "hook_pre" if mlp.gate is None else "hook_pre_linear"
                OnOutput(up, self._point(f"{at}.mlp.{pre}"))
            if mlp.gate is not None:
                OnOutput(mlp.gate, self._point(f"{at}.mlp.hook_pre"))
            OnOutput(block, self._point(f"{at}.hook_resid_post", f"{at}.hook_out"))
        OnInput(stack.blocks[0], self._point(f"{name}.0.hook_resid_pre"))
        if norm is not None:
            setattr(self, f"{prefix}ln_final", PlainNorm(norm))
            OnOutput(norm, self._point(f"{prefix}ln_final.hook_out"))

    def _point(self, *names: str) -> Any:
        from transformer_lens.hook_points import HookPoint

        point = HookPoint()
        point.name = names[0]
        self._points |= dict.fromkeys(names, point)
        return point


def _verified_stacks(model: HuggingFaceModel) -> dict[str, tuple[PlainStack, nn.Module | None]]:
    """Every stack with its final norm, by the prefix of its names; nothing is hooked yet."""
    if not hasattr(model.config, "hidden_size"):
        raise unsupported(model, "its configuration names no hidden_size")
    found = {prefix: find_stack(model, owner) for prefix, owner in owners_of(model).items()}
    return {prefix: (stack, verified_norm(model, stack)) for prefix, stack in found.items()}


def owners_of(model: HuggingFaceModel) -> dict[str, Any]:
    """The modules that run the stacks of a model, by the prefix of their names."""
    if is_encoder_decoder(model):
        return {"encoder_": model.get_encoder(), "decoder_": model.get_decoder()}
    return {"": _owner(model)}


def _owner(model: HuggingFaceModel) -> Any:
    """The module that runs the blocks of a model of one stack."""
    base = model.base_model  # the decoder of an encoder-decoder alone lies in a wrapper never run
    return base.decoder if type(base).__name__.endswith("DecoderWrapper") else base


def _context(model: HuggingFaceModel) -> int:
    """Tokens the model takes: where positions are learned, those its table has room for."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    named = (getattr(model.config, name, None) for name in _CONTEXTS)
    return int(next((size for size in named if size), sys.maxsize))
