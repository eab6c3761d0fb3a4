"""Sparse autoencoders made for tests, in the layouts in which they are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

D_IN, LATENTS, K = 32, 48, 5
KINDS = ("relu", "jumprelu", "topk")
LAYOUTS = ("saelens", "gemma scope", "gemma scope 2")
HOOK = "blocks.1.hook_resid_post"
_NAMES = {"relu": "standard", "jumprelu": "jumprelu", "topk": "topk", "gated": "gated"}

Weights = dict[str, NDArray[np.float32]]


def made_weights(kind: str, d_in: int = D_IN) -> Weights:
    """Random weights, decoder rows of unlike norms."""
    dice = np.random.default_rng(3)

    def some(*shape: int) -> NDArray[np.float32]:
        return dice.normal(size=shape).astype(np.float32) * np.float32(0.3)

    weights = {
        "W_enc": some(d_in, LATENTS),
        "W_dec": some(LATENTS, d_in),
        "b_enc": some(LATENTS),
        "b_dec": some(d_in),
    }
    if kind == "jumprelu":
        weights["threshold"] = np.abs(some(LATENTS))
    if kind == "gated":
        del weights["b_enc"]
        weights |= {name: some(LATENTS) for name in ("b_gate", "b_mag", "r_mag")}
    return weights


def save(folder: Path, layout: str, kind: str, weights: Weights, **said: Any) -> Path:
    """Write an autoencoder; ``said`` goes into its settings, None takes a setting out."""
    from safetensors.numpy import save_file

    top = {"k": K} if kind == "topk" else {}
    d_in, n = weights["W_enc"].shape
    if layout == "saelens":
        folder.mkdir(parents=True, exist_ok=True)
        config = {"architecture": _NAMES[kind], "d_in": d_in, "d_sae": n, "hook_name": HOOK, **top}
        save_file(weights, folder / "sae_weights.safetensors")
        _write(folder / "cfg.json", config | said)
        return folder
    folder = folder / "layer_1" / "width_16k"
    folder.mkdir(parents=True, exist_ok=True)
    if layout == "gemma scope 2":
        weights = {name.replace("W_", "w_"): weight for name, weight in weights.items()}
        save_file(weights, folder / "params.safetensors")
        config = {"architecture": "jump_relu", "hf_hook_point_in": "model.layers.1.output"}
    else:
        np.savez(folder / "params.npz", **weights)
        config = {}
    if kind != "jumprelu":
        config |= {"architecture": _NAMES[kind], **top}
    if config | said:
        _write(folder / "config.json", config | said)
    return folder


def _write(path: Path, config: dict[str, Any]) -> None:
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def reference(
    kind: str, w: Weights, x: NDArray[Any], *, centred: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Latents and reconstruction in float64, written once more."""
    w = {name: weight.astype(np.float64) for name, weight in w.items()}
    x = x.astype(np.float64) - (w["b_dec"] if centred else 0)
    pre = x @ w["W_enc"] + w.get("b_enc", 0)
    if kind == "gated":
        size = x @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"]
        z = np.where(pre + w["b_gate"] > 0, np.maximum(size, 0), 0)
    elif kind == "topk":
        z = np.where(pre >= np.sort(pre)[..., -K, None], np.maximum(pre, 0), 0)
    else:
        z = np.where(pre > w.get("threshold", 0), np.maximum(pre, 0), 0)
    return z, z @ w["W_dec"] + w["b_dec"]
