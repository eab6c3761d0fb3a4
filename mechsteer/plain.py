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

import torch
from torch import Tensor, nn

from mechsteer.errors import ModelError
from mechsteer.hooks import input_device
from mechsteer.teacher_forcing import decoder_inputs, is_encoder_decoder

# what configurations call the number of neurons of a layer
_WIDTHS = ("intermediate_size", "hidden_dim", "ffn_dim", "d_ff", "n_inner", "ffn_hidden_size")
_GATES = ("gate_proj", "wi_0")  # how the module that opens and closes neurons is called

Seen = dict[nn.Module, list[tuple[Tensor, Tensor]]]


class PlainMLP:
    """The linear modules of one MLP under TransformerLens's names: ``in``, ``gate`` and ``out``.

    ``in`` is None where it is fused with the gate, ``gate`` where there is none of its own.
    """

    def __init__(self, block: nn.Module, down: nn.Module) -> None:
        width, d_model = features(down) or (0, 0)
        into = {
            name: module
            for name, module in block.named_modules()
            if features(module) == (d_model, width)
        }
        gates = [name for name in into if name.endswith(_GATES)]
        ups = [name for name in into if name not in gates]
        certain = len(ups) == 1 and len(gates) < 2
        setattr(self, "in", into[ups[0]] if certain else None)
        self.gate = into[gates[0]] if certain and gates else None
        self.out = down

    @property
    def W_out(self) -> Tensor:  # noqa: N802 - TransformerLens's name
        """The down-projection, ``[neuron, d_model]``."""
        weight: Tensor = self.out.weight  # type: ignore[assignment]
        return weight if hasattr(self.out, "nx") else weight.T

    @property
    def W_gate(self) -> Any:  # noqa: N802
        """The gate's weight, None where there is none: whether the MLP is gated."""
        return None if self.gate is None else self.gate.weight


class PlainNorm:
    """The norm after the last block."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.name = module, "norm"
        self.parameters = module.parameters

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise a residual stream."""
        out: Tensor = self.module(x)
        return out


class PlainStack:
    """The blocks of one stack, found and verified.

    Raises:
        ModelError: they, or their neurons, cannot be told for certain.
    """

    def __init__(self, model: Any, owner: nn.Module) -> None:
        self.owner = owner
        self.width, found = _find_blocks(model, owner)
        self.blocks = [block for block, _ in found]
        self.mlps = [PlainMLP(block, down) for block, down in found]
        self.norm = _verify(model, self)


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
            raise _unsupported(model, "its configuration names no hidden_size")
        self.original_model = model
        self._names = inspect.signature(model.forward).parameters
        self.hook_dict: dict[str, Any] = {}
        if is_encoder_decoder(model):
            stacks = {"encoder_": model.get_encoder(), "decoder_": model.get_decoder()}
        else:
            stacks = {"": model.base_model}
        for prefix, owner in stacks.items():
            self._hook(prefix, PlainStack(model, owner))
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

    def _hook(self, prefix: str, stack: PlainStack) -> None:
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
        if stack.norm is not None:
            setattr(self, f"{prefix}ln_final", PlainNorm(stack.norm))
            _on_output(stack.norm, self._point(f"{prefix}ln_final.hook_out"))

    def _point(self, *names: str) -> Any:
        from transformer_lens.hook_points import HookPoint

        point = HookPoint()
        point.name = names[0]
        self.hook_dict |= dict.fromkeys(names, point)
        return point


def features(module: Any) -> tuple[int, int] | None:
    """Inputs and outputs of a linear module, however its weight is stored; None of any other."""
    if hasattr(module, "in_features") and hasattr(module, "out_features"):
        return int(module.in_features), int(module.out_features)
    if hasattr(module, "nx") and hasattr(module, "nf"):  # Conv1D of GPT-2
        return int(module.nx), int(module.nf)
    return None


def _find_blocks(model: Any, owner: nn.Module) -> tuple[int, list[tuple[nn.Module, nn.Module]]]:
    """The number of neurons of a block, and every block with its down-projection.

    It is the one linear module of a block from as many inputs as the configuration has neurons to
    the width of the residual stream.
    """
    d_model = int(model.config.hidden_size)
    sizes = {getattr(model.config, name, None) for name in (*_WIDTHS, *_of_stack(model, owner))}
    if getattr(model.config, "n_inner", 0) is None:  # as GPT-2 means it
        sizes.add(4 * d_model)
    found = []
    for width in sorted(size for size in sizes if isinstance(size, int)):
        lists: dict[str, list[tuple[nn.Module, nn.Module]]] = {}
        for name, module in owner.named_modules():
            if isinstance(module, nn.ModuleList) and not name.startswith(tuple(lists)):
                downs = [_downs(block, width, d_model) for block in module]
                if downs and all(len(own) == 1 for own in downs):
                    lists[f"{name}."] = list(zip(module, [own[0] for own in downs], strict=True))
        found += [(width, blocks) for blocks in lists.values()]
    if len(found) != 1:
        raise _unsupported(
            model,
            f"expected one list of blocks with one linear module each from its neurons to its "
            f"{d_model} outputs, found {len(found)} such lists",
        )
    return found[0]


def _of_stack(model: Any, owner: nn.Module) -> tuple[str, ...]:
    if not is_encoder_decoder(model):
        return ()
    return ("encoder_ffn_dim",) if owner is model.get_encoder() else ("decoder_ffn_dim",)


def _downs(block: nn.Module, width: int, d_model: int) -> list[nn.Module]:
    return [module for module in block.modules() if features(module) == (width, d_model)]


def _verify(model: Any, stack: PlainStack) -> nn.Module | None:
    """Run two short sentences and check what was found; return the final norm, if there is one.

    Every block and down-projection runs once, on neurons and a residual stream of the right shape;
    what the stack returns is the last block's output, or that through one norm; and padding behind
    a sentence changes nothing before it.
    """
    inside = {module for block in stack.blocks for module in block.modules()}
    norms = [m for m in stack.owner.modules() if m not in inside and "norm" in _kind(m)]
    ids = torch.arange(2, 12, device=input_device(model)).view(2, 5)
    outs = [mlp.out for mlp in stack.mlps]
    seen = _trace(model, {*stack.blocks, *outs, *norms, stack.owner}, ids, n_padding=0)
    d_model = int(model.config.hidden_size)
    wanted = dict.fromkeys(stack.blocks, d_model) | dict.fromkeys(outs, stack.width)
    for module, width in wanted.items():
        shapes = [tuple(given.shape) for given, _ in seen.get(module, [])]
        if shapes != [(2, 5, width)]:
            raise _unsupported(
                model,
                f"expected every {type(module).__name__} to run once on [sentence, token, width] "
                f"of {[2, 5, width]}, got {shapes}",
            )
    last = seen[stack.blocks[-1]][0][1]
    padded = _trace(model, {stack.blocks[-1]}, ids, n_padding=3)[stack.blocks[-1]][0][1]
    if (padded[:, :5] - last).abs().max() > torch.finfo(last.dtype).eps ** 0.5 * last.abs().max():
        raise _unsupported(model, "padding changes what comes before it, in spite of the mask")
    return _final_norm(model, stack, norms, seen)


@torch.inference_mode()
def _trace(model: Any, modules: set[nn.Module], ids: Tensor, *, n_padding: int) -> Seen:
    """What modules got and returned, call by call."""
    seen: Seen = {}

    def keep(module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        given = args[0] if args else kwargs.get("hidden_states")
        seen.setdefault(module, []).append((given, out if isinstance(out, Tensor) else out[0]))

    handles = [m.register_forward_hook(keep, with_kwargs=True) for m in modules]
    pad = getattr(model.config, "pad_token_id", None) or 0
    mask = nn.functional.pad(torch.ones_like(ids), (0, n_padding))
    ids = nn.functional.pad(ids, (0, n_padding), value=pad)
    try:
        model(ids, attention_mask=mask, **decoder_inputs(model, ids, mask))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _final_norm(
    model: Any, stack: PlainStack, norms: list[nn.Module], seen: Seen
) -> nn.Module | None:
    last, returned = seen[stack.blocks[-1]][0][1], seen[stack.owner][0][1]
    if torch.equal(last, returned):
        return None
    for norm in norms:
        for given, out in seen.get(norm, []):
            if torch.equal(given, last) and torch.equal(out, returned):
                return norm
    raise _unsupported(model, "what follows its last block is not one norm")


def _unsupported(model: Any, reason: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} is not supported: TransformerLens has no adapter for it, and its "
        f"neurons cannot be told for certain by structure ({reason}); name another model, or pass "
        "a TransformerBridge with an adapter of your own"
    )


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


def _kind(module: nn.Module) -> str:
    return type(module).__name__.lower()


def _context(model: Any) -> int:
    """Tokens the model takes: where positions are learned, those its table has room for."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    named = getattr(model.config, "max_position_embeddings", None)
    return sys.maxsize if named is None else int(named)
