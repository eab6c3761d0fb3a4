"""A sparse autoencoder of activations: its latents, its reconstruction, and edits of latents.

``s`` and ``m`` are the scale and the shift of an activation ``x`` where it is normalised first (1
and 0 where it is not)::

    x_n = (x - m) / s - b_dec         b_dec only where the encoder was trained so
    z = act(x_n W_enc + b_enc)        reconstruction: (z W_dec + b_dec) s + m

An edit of latents moves the activation by ``(z' - z) W_dec s``, so that what the autoencoder does
not explain stays as it was.

Source: Gemma Scope (2408.05147); SAELens (saes/*.py) for what its settings mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

WORD = "sae"
_EPS = 1e-5  # of the layer norm

Kind = Literal["relu", "jumprelu", "topk", "gated"]
Norm = Literal["none", "layer_norm", "constant_norm_rescale"]


@dataclass(frozen=True)
class Settings:
    """How an autoencoder computes.

    Attributes:
        kind: its activation function; gated: Rajamanoharan et al. 2024 (2404.16014).
        hook: the hook point that it reads, as its files call it; ``""`` where they do not say.
        k: of TopK, how many latents stay.
        centred: whether ``b_dec`` is taken off the activation first.
        norm: how an activation is normalised first.
        by_norm: whether latents are in units of their decoder rows' norms.
    """

    kind: Kind
    hook: str = ""
    k: int = 0
    centred: bool = False
    norm: Norm = "none"
    by_norm: bool = False


class Scaled(NamedTuple):
    """An activation as the encoder takes it, and how to undo that."""

    x: Float[Tensor, "*batch d_in"]
    scale: Tensor | float
    shift: Tensor | float


@dataclass(frozen=True)
class SparseAutoencoder:
    """Weights in float32 and the settings that say what to do with them.

    Attributes:
        settings: see there.
        weights: ``W_enc [d_in, latent]``, ``W_dec [latent, d_in]``, ``b_enc``, ``b_dec``,
            and ``threshold`` (JumpReLU) or ``r_mag``, ``b_mag``, ``b_gate`` (gated).
        digest: of settings and weights.
    """

    settings: Settings
    weights: dict[str, Tensor]
    digest: str

    @property
    def d_in(self) -> int:
        """Numbers of an activation."""
        return self.weights["W_enc"].shape[0]

    @property
    def n_latents(self) -> int:
        """Number of latents."""
        return self.weights["W_enc"].shape[1]

    def encode(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch latent"]:
        """The latents of an activation, in float32; none is below 0."""
        return self._latents(self._scaled(x).x)

    def reconstruct(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_in"]:
        """What the latents say of an activation, in float32."""
        scaled = self._scaled(x)
        w = self._on(x.device)
        return (self._latents(scaled.x) @ w["rows"] + w["b_dec"]) * scaled.scale + scaled.shift

    def writes(self, latent: int) -> Float[Tensor, " d_in"]:
        """What one unit of a latent adds to an activation, where none is normalised."""
        return self._on(self.weights["W_dec"].device)["rows"][latent]

    def read(self, h: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch latent"]:
        """See ``encode``."""
        return self.encode(h)

    def write(
        self,
        h: Float[Tensor, "*batch d_in"],
        z: Float[Tensor, "*batch latent"],
        new: Float[Tensor, "*batch latent"],
    ) -> Float[Tensor, "*batch d_in"]:
        """The activation moved by what the decoder makes of the change, in its own dtype."""
        change = new - z
        moved = change.flatten(0, -2).any(0).nonzero().flatten()  # mostly a few of thousands
        delta = change[..., moved] @ self._on(h.device)["rows"][moved]
        return (h + delta * self._scaled(h).scale).to(h.dtype)

    def _latents(self, x: Tensor) -> Tensor:
        w = self._on(x.device)
        dot = x @ w["W_enc"]
        if self.settings.kind == "gated":
            size = (dot * w["r_mag"].exp() + w["b_mag"]).relu()
            return size * (dot + w["b_gate"] > 0)
        pre = dot + w["b_enc"]
        if self.settings.kind == "jumprelu":
            return pre.relu() * (pre > w["threshold"])
        if self.settings.by_norm:
            pre = pre * w["norms"]
        if self.settings.kind == "relu":
            return pre.relu()
        top = pre.topk(self.settings.k, dim=-1)
        return torch.zeros_like(pre).scatter(-1, top.indices, top.values.relu())

    def _scaled(self, x: Tensor) -> Scaled:
        x = x.float()
        scale: Tensor | float = 1.0
        shift: Tensor | float = 0.0
        if self.settings.norm == "layer_norm":
            shift = x.mean(-1, keepdim=True)
            x = x - shift
            scale = x.std(-1, keepdim=True)
            x = x / (scale + _EPS)
        elif self.settings.norm == "constant_norm_rescale":
            size = x.norm(dim=-1, keepdim=True) / self.d_in**0.5
            scale = torch.where(size > 0, size, 1)
            x = x / scale
        return Scaled(x - self._on(x.device)["b_dec"] if self.settings.centred else x, scale, shift)

    def _on(self, device: torch.device) -> dict[str, Tensor]:
        """The weights where an activation lies; ``rows``: what one unit of a latent writes."""
        if device not in self._copies:
            w = {name: tensor.to(device) for name, tensor in self.weights.items()}
            w["norms"] = w["W_dec"].norm(dim=-1)
            norms = w["norms"].clamp_min(torch.finfo(torch.float32).tiny)[:, None]  # 0 writes 0
            w["rows"] = w["W_dec"] / norms if self.settings.by_norm else w["W_dec"]
            self._copies[device] = w
        return self._copies[device]

    @cached_property
    def _copies(self) -> dict[torch.device, dict[str, Tensor]]:
        return {}
