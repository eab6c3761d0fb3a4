"""Hooks that pass what a plain module takes or gives through a hook point.

They are objects, so that a copied or saved model takes its own hook points along.
"""

from __future__ import annotations

from typing import Any

from torch import nn


class OnInput:
    """Passes what a module takes through a point.

    Args:
        module: whose hidden states are passed.
        point: a TransformerLens ``HookPoint``.
    """

    def __init__(self, module: nn.Module, point: Any) -> None:
        self._point = point
        module.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(
        self, module: nn.Module, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """A forward pre-hook of PyTorch's."""
        if args:
            return (self._point(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": self._point(kwargs["hidden_states"])}


class OnOutput:
    """Passes what a module gives, or the first thing it gives, through a point.

    Args:
        module: whose output is passed.
        point: a TransformerLens ``HookPoint``.
    """

    def __init__(self, module: nn.Module, point: Any) -> None:
        self._point = point
        module.register_forward_hook(self)

    def __call__(self, module: nn.Module, args: Any, out: Any) -> Any:
        """A forward hook of PyTorch's."""
        return (self._point(out[0]), *out[1:]) if isinstance(out, tuple) else self._point(out)
