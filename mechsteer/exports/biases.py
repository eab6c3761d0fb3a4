"""Biases that a model of transformers can have, where a checkpoint has none.

A configuration may have a switch for them (``mlp_bias`` of Llama, ``use_bias`` of StarCoder 2,
``attention_bias`` of Cohere); or another class of transformers computes the same and has one, see
``mechsteer.exports.classes``. What comes into being is 0 until an edit says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import nn

# from the narrowest to the widest: each may bring biases that nobody asked for
_SWITCHES = ("mlp_bias", "use_bias", "bias", "attention_bias")


def possible(plain: Any) -> dict[str, tuple[str, ...]]:
    """Names of the modules that can have a bias, with the switches it takes; none for those there.

    What only another class has is not among them, see ``mechsteer.exports.classes``.
    """
    found: dict[str, tuple[str, ...]] = dict.fromkeys(biased(plain), ())
    for switch in _SWITCHES:
        if getattr(plain.config, switch, None) is False:
            for name in _with(plain, switch) - found.keys():
                found[name] = (switch,)
    return found


def give(plain: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Let modules have a bias; returns the switches that were turned on.

    Raises:
        KeyError: one of them is not ``possible``.
    """
    can = possible(plain)
    switches = sorted({switch for name in names for switch in can[name]})
    for switch in switches:
        added = _with(plain, switch)
        setattr(plain.config, switch, True)
        modules = dict(plain.named_modules())
        for name in added:
            weight = modules[name].weight
            zeros = torch.zeros(_outputs(modules[name]), dtype=weight.dtype, device=weight.device)
            modules[name].bias = nn.Parameter(zeros, requires_grad=False)
    return tuple(switches)


def biased(plain: nn.Module) -> set[str]:
    """Modules that have a bias."""
    ends = ".bias"
    return {n.removesuffix(ends) for n, _ in plain.named_parameters() if n.endswith(ends)}


def _with(plain: Any, switch: str) -> set[str]:
    """Modules that have a bias with a switch on and none without; none if it changes more."""
    config = deepcopy(plain.config)
    setattr(config, switch, True)
    try:
        with torch.device("meta"):
            other = type(plain)(config)
    except Exception:  # a switch that some classes cannot have
        return set()
    before = {name for name, _ in plain.named_parameters()}
    new = {name for name, _ in other.named_parameters()} - before
    whole = before <= {name for name, _ in other.named_parameters(remove_duplicate=False)}
    if not whole or not all(name.endswith(".bias") for name in new):
        return set()
    return {name.removesuffix(".bias") for name in new}


def _outputs(module: nn.Module) -> int:
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    return weight.shape[-1] if hasattr(module, "nf") else weight.shape[0]
