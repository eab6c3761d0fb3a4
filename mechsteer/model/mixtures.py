"""Neurons of a mixture of experts: hook points inside its experts, where TransformerLens has none.

The routed experts of a layer are one hook point ``[sentence, token, neuron]``: neuron j of expert e
is number ``e · width + j``. Where a token is not routed to an expert, that expert's neurons are 0
and an edit of them does nothing. The shared expert, which sees every token, is a point of its own.

The points are there within ``mechsteer.model.derived.opened`` alone, which leaves the model as it
was. While the point of routed experts is hooked, its layer runs expert by expert, as transformers'
eager implementation does; else it runs as it did before, bit for bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from threading import local
from typing import Any

from torch import Tensor, nn

from mechsteer.errors import SiteError
from mechsteer.model.interface import Model
from mechsteer.model.linear import features
from mechsteer.model.routed import one_by_one, own_code, require_own_output

MIXED = ("experts", "shared")
_SHARED = ("shared_expert", "shared_experts")


class ExpertPoint:
    """Passes what the experts of a block compute through a hook point, sentence by token.

    Args:
        model: whose hook points it joins.
        hook: its name, ``"blocks.3.mlp.experts.hook_post"``.
    """

    def __init__(self, model: Model, hook: str) -> None:
        self.scopes = 0
        self._batch = local()  # each thread's own: another may run the model too
        self._undo = ExitStack()
        self.point = model.add_hook_point(hook)
        self._undo.callback(model.drop_hook_point, hook)
        blocks, layer, _, kind, _ = hook.split(".")
        block = getattr(model, blocks)[int(layer)].original_component
        started = block.register_forward_pre_hook(self._remember, with_kwargs=True)
        self._undo.callback(started.remove)
        if kind == "shared":
            down, _ = shared_projection(block)
            before = down.register_forward_pre_hook(lambda m, args: (self(args[0]), *args[1:]))
            self._undo.callback(before.remove)
        else:
            self._undo.callback(_run_instead(routed_experts(block), self))

    def remove(self) -> None:
        """Leave the model as it was."""
        self._undo.close()

    def __call__(self, z: Tensor) -> Tensor:
        """The hook point's answer, in the shape of ``z``: experts see a batch as one row."""
        passed: Tensor = self.point(z.reshape(*self._batch.shape, -1))
        return passed.reshape(z.shape)

    def _remember(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        self._batch.shape = (args[0] if args else kwargs["hidden_states"]).shape[:2]


def _run_instead(experts: Any, point: ExpertPoint) -> Callable[[], None]:
    """Run experts one by one as long as their point is hooked; returns what ends it."""
    from accelerate.utils import align_module_device

    before = vars(experts).get("forward")  # that of accelerate, where it fetches weights
    usual = experts.forward
    takes = inspect.signature(own_code(experts))

    def forward(*args: Any, **kwargs: Any) -> Tensor:
        if not point.point.has_hooks("fwd"):
            out: Tensor = usual(*args, **kwargs)
            return out
        _, hidden, index, weights = takes.bind(experts, *args, **kwargs).args
        with align_module_device(experts):
            return one_by_one(experts, hidden, index, weights, point)

    def end() -> None:
        if before is None:
            del experts.forward
        else:
            experts.forward = before

    experts.forward = forward
    return end


def expert_width(model: Model, block: nn.Module, hook: str) -> int:
    """The number of neurons of a hook point inside the experts of a block; nothing is installed.

    That routed experts can be run one by one is checked once, by running them.

    Raises:
        SiteError: the block has no such experts, or theirs cannot be read.
    """
    if hook.split(".")[-2] == "shared":
        return shared_projection(block)[1]
    experts = routed_experts(block)
    if hook not in model.facts.experts:
        require_own_output(experts)
        model.facts.experts.add(hook)
    width: int = experts.down_proj.shape[1 if experts.is_transposed else 2]
    return int(experts.num_experts) * width


def shared_projection(block: nn.Module) -> tuple[Any, int]:
    """The down-projection of the shared expert, and its inputs."""
    parts = [
        (module, shape[0])
        for name, module in _plain_modules(block)
        if set(_SHARED) & set(name.split(".")) and "down_proj" in name
        if (shape := features(module)) is not None
    ]
    if len(parts) != 1:
        raise SiteError(f"{len(parts)} shared experts with a linear down-projection, expected one")
    return parts[0]


def has_experts(block: nn.Module) -> bool:
    """Whether a block has routed experts whose neurons can be told."""
    return len(_routed(block)) == 1


def routed_experts(block: nn.Module) -> Any:
    """The module of the routed experts of a block.

    Raises:
        SiteError: there is none that transformers runs through its table, or several.
    """
    found = _routed(block)
    if len(found) != 1:
        raise SiteError(
            f"{len(found)} modules of routed experts that transformers runs through its table of "
            "experts functions, expected one: their neurons cannot be read"
        )
    return found[0]


def _routed(block: nn.Module) -> list[Any]:
    return [
        module
        for _, module in _plain_modules(block)
        if hasattr(module, "has_gate") and getattr(getattr(module, "down_proj", 0), "ndim", 0) == 3
    ]


def _plain_modules(block: nn.Module) -> list[tuple[str, nn.Module]]:
    """The model's own modules, without TransformerLens's around them, which answer for them."""
    everything = block.named_modules()
    return [(name, m) for name, m in everything if not hasattr(m, "original_component")]
