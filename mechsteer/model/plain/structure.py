"""Find the blocks of a plain model and the linear modules of their MLPs, by structure alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mechsteer.errors import ModelError
from mechsteer.model.decoder import is_encoder_decoder
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.linear import effective_weight, features, linear_modules

# what configurations call the number of neurons of a layer
_WIDTHS = ("intermediate_size", "hidden_dim", "ffn_dim", "d_ff", "n_inner", "ffn_hidden_size")
_GATES = ("gate_proj", "wi_0")  # how the module that opens and closes neurons is called


class PlainMLP:
    """The linear modules of one MLP under TransformerLens's names: ``in``, ``gate`` and ``out``.

    ``in`` is None where it is fused with the gate, ``gate`` where there is none of its own.
    """

    def __init__(self, block: nn.Module, down: nn.Module) -> None:
        width, d_model = features(down) or (0, 0)
        into = {
            name: module
            for name, module in linear_modules(block)
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
        weight = effective_weight(self.out)
        return weight if hasattr(getattr(self.out, "base_layer", self.out), "nx") else weight.T

    @property
    def W_gate(self) -> Any:  # noqa: N802
        """The gate's weight, None where there is none: whether the MLP is gated."""
        return None if self.gate is None else self.gate.weight


@dataclass(frozen=True)
class PlainStack:
    """The blocks of one stack, the MLP of each, and the module that runs them all."""

    owner: nn.Module
    blocks: tuple[nn.Module, ...]
    mlps: tuple[PlainMLP, ...]


def find_stack(model: HuggingFaceModel, owner: nn.Module) -> PlainStack:
    """The stack that a module runs.

    A down-projection is the one linear module of a block from as many inputs as the configuration
    has neurons to the width of the residual stream.

    Raises:
        ModelError: there is no such list of blocks, or there are several.
    """
    d_model = int(model.config.hidden_size)
    found: list[list[tuple[nn.Module, nn.Module]]] = []
    for width in _widths(model, owner):
        lists: dict[str, list[tuple[nn.Module, nn.Module]]] = {}
        for name, module in owner.named_modules():
            if isinstance(module, nn.ModuleList) and not name.startswith(tuple(lists)):
                each = width if isinstance(width, tuple) else (width,) * len(module)
                downs = [_downs(b, w, d_model) for b, w in zip(module, each, strict=False)]
                if downs and len(each) == len(module) and all(len(own) == 1 for own in downs):
                    lists[f"{name}."] = list(zip(module, [own[0] for own in downs], strict=True))
        found += lists.values()
    if len(found) != 1:
        raise unsupported(
            model,
            f"expected one list of blocks with one linear module each from its neurons to its "
            f"{d_model} outputs, found {len(found)} such lists",
        )
    mlps = tuple(PlainMLP(block, down) for block, down in found[0])
    return PlainStack(owner, tuple(block for block, _ in found[0]), mlps)


def _widths(model: HuggingFaceModel, owner: nn.Module) -> list[int | tuple[int, ...]]:
    """What the configuration may mean by the number of neurons, of all layers or of each."""
    d_model, config = int(model.config.hidden_size), model.config
    named = [getattr(config, name, None) for name in (*_WIDTHS, *_of_stack(model, owner))]
    if config.model_type == "bloom" or getattr(config, "n_inner", 0) is None:  # as GPT-2 means it
        named.append(4 * d_model)
    if (ratio := getattr(config, "expansion_ratio", None)) is not None:
        named.append(int(ratio * d_model))
    if not getattr(config, "num_local_experts", 1):  # a mixture of none but the shared one
        named.append(getattr(config, "shared_intermediate_size", None))
    sizes: set[int | tuple[int, ...]] = {size for size in named if isinstance(size, int)}
    for each in named:
        if isinstance(each, (list, tuple)) and all(isinstance(size, int) for size in each):
            sizes.add(each[0] if len(set(each)) == 1 else tuple(each))
    return sorted(sizes, key=str)


def _of_stack(model: HuggingFaceModel, owner: nn.Module) -> tuple[str, ...]:
    if not is_encoder_decoder(model):  # the decoder, or encoder, of such a model alone
        return ("encoder_ffn_dim", "decoder_ffn_dim")
    return ("encoder_ffn_dim",) if owner is model.get_encoder() else ("decoder_ffn_dim",)


def _downs(block: nn.Module, width: int, d_model: int) -> list[nn.Module]:
    return [module for _, module in linear_modules(block) if features(module) == (width, d_model)]


def unsupported(model: HuggingFaceModel, reason: str) -> ModelError:
    """The refusal of an architecture, by name and with a next step."""
    return ModelError(
        f"{type(model).__name__} is not supported: TransformerLens has no adapter that reads it, "
        f"and its neurons cannot be told for certain by structure ({reason}); name another model, "
        "or pass a TransformerBridge with an adapter of your own"
    )
