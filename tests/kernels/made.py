"""Made-up activations of every kind that counting could stumble over."""

from __future__ import annotations

import torch
from torch import Tensor

KINDS = ("wide", "grid", "signed zeros", "subnormal", "extreme", "constant")


def activations(kind: str, n: int, m: int, dtype: torch.dtype) -> Tensor:
    noise = torch.randn(n, m, generator=torch.Generator().manual_seed(n * m))
    made = {
        "wide": noise,
        "grid": (noise * 2).round() / 2,
        "signed zeros": torch.where(noise > 0.5, noise, noise.sign() * 0.0),
        "subnormal": (noise * 8).round() * 2.0 ** (-24 if dtype == torch.float16 else -133),
        "extreme": noise.sign() * (noise.abs() > 1) * min(torch.finfo(dtype).max, 3.4e38),
        "constant": torch.full_like(noise, -0.75),
    }
    return made[kind].to(dtype)


def labelling(n: int, n_classes: int, seed: int = 0) -> Tensor:
    """``n`` sentences in ``n_classes`` classes of nearly one size, in random order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n, generator=generator) % n_classes
