"""A plain Hugging Face model behind what mechsteer uses of a TransformerBridge.

For architectures TransformerLens has no adapter for, and checkpoints without the head its adapters
expect (sentence encoders, say). The model runs untouched: forward hooks pass its activations
through hook points under the bridge's names. What is a block, its down-projection and the final
norm is found by structure and verified on a forward pass; what is not certain is refused.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from mechsteer.model.decoder import is_encoder_decoder
from mechsteer.model.plain.structure import PlainStack, find_stack, unsupported
from mechsteer.model.plain.verify import verified_norm


class PlainNorm:
    """The norm after the last block."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.name = module, "norm"
        self.parameters = module.parameters

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise a residual stream."""
        out: Tensor = self.module(x)
        return out


class PlainModel(nn.Module):
    """See the module's own words. It is called as a bridge is, with token ids and their mask.

    Args:
        model: a Hugging Face model in eval mode.
        name: where it was loaded from.

    Raises:
        ModelError: the blocks, their neurons or the residual stream cannot be told for certain.
    """

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        if not hasattr(model.config, "hidden_size"):
            raise unsupported(model, "its configuration names no hidden_size")
        self.original_model = model
        self._names = inspect.signature(model.forward).parameters
        self.hook_dict: dict[str, Any] = {}
        if is_encoder_decoder(model):
            stacks = {"encoder_": model.get_encoder(), "decoder_": model.get_decoder()}
        else:
            stacks = {"": model.base_model}
        for prefix, owner in stacks.items():
            stack = find_stack(model, owner)
            self._hook(prefix, stack, verified_norm(model, stack))
        self.cfg = SimpleNamespace(
            architecture=type(model).__name__,
            model_name=name,
            d_model=int(model.config.hidden_size),
            n_layers=len(next(v for k, v in vars(self).items() if k.endswith("blocks"))),
            n_ctx=_context(model),
            attention_dir="causal" if model.can_generate() else "bidirectional",
        )
        self.train(model.training)

    def forward(self, ids: Tensor, *, return_type: str | None = "logits", **inputs: Any) -> Any:
        """Logits, where the model has a head and ``return_type`` is not None."""
        if "use_cache" not in self._names:
            inputs.pop("use_cache", None)
        out = self.original_model(ids, **inputs)
        return None if return_type is None else getattr(out, "logits", None)

    def _hook(self, prefix: str, stack: PlainStack, norm: nn.Module | None) -> None:
        """Pass what a stack computes through hook points."""
        name = f"{prefix}blocks"
        setattr(self, name, [SimpleNamespace(mlp=mlp) for mlp in stack.mlps])
        for layer, (block, mlp) in enumerate(zip(stack.blocks, stack.mlps, strict=True)):
            at = f"{name}.{layer}"
            _on_input(mlp.out, self._point(f"{at}.mlp.hook_post"))
            _on_output(mlp.out, self._point(f"{at}.mlp.out.hook_out"))
            if (up := getattr(mlp, "in")) is not None:
                pre = "hook_pre" if mlp.gate is None else "hook_pre_linear"
                _on_output(up, self._point(f"{at}.mlp.{pre}"))
            if mlp.gate is not None:
                _on_output(mlp.gate, self._point(f"{at}.mlp.hook_pre"))
            _on_output(block, self._point(f"{at}.hook_resid_post", f"{at}.hook_out"))
        _on_input(stack.blocks[0], self._point(f"{name}.0.hook_resid_pre"))
        if norm is not None:
            setattr(self, f"{prefix}ln_final", PlainNorm(norm))
            _on_output(norm, self._point(f"{prefix}ln_final.hook_out"))

    def _point(self, *names: str) -> Any:
        from transformer_lens.hook_points import HookPoint

        point = HookPoint()
        point.name = names[0]
        self.hook_dict |= dict.fromkeys(names, point)
        return point


def _on_input(module: nn.Module, point: Callable[[Tensor], Tensor]) -> None:
    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if args:
            return (point(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": point(kwargs["hidden_states"])}

    module.register_forward_pre_hook(hook, with_kwargs=True)


def _on_output(module: nn.Module, point: Callable[[Tensor], Tensor]) -> None:
    def hook(module: nn.Module, args: Any, out: Any) -> Any:
        return (point(out[0]), *out[1:]) if isinstance(out, tuple) else point(out)

    module.register_forward_hook(hook)


def _context(model: Any) -> int:
    """Tokens the model takes: where positions are learned, those its table has room for."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    named = getattr(model.config, "max_position_embeddings", None)
    return sys.maxsize if named is None else int(named)
