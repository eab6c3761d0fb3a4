"""What the settings of a sparse autoencoder mean; those of which that is not certain are refused.

Source: SAELens 3 to 6 (``cfg.json``), Gemma Scope 2 (``config.json``). SAELens 6 keeps what it
knows of the model under ``metadata``; before, TopK was the activation function of a ``standard``
autoencoder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

from mechsteer.errors import SiteError, shown
from mechsteer.model.derived.autoencoder import Kind, Norm, Settings
from mechsteer.model.derived.files import FoundFiles

_KINDS: dict[str, Kind] = {
    "standard": "relu",
    "relu": "relu",
    "jumprelu": "jumprelu",
    "jump_relu": "jumprelu",
    "topk": "topk",
    "gated": "gated",
}
_HOOKS = ("hook_name", "hook_point", "hf_hook_point_in")
_OUT = ("hook_name_out", "hf_hook_point_out")
_OTHERS = ("transcoder", "crosscoder")  # as folders of Gemma Scope are called
_LAYER = re.compile(r"layer_(\d+)")
_PART = re.compile(r"(?:^|[-_])(mlp|att|attn|embedding)(?:$|[-_])")


def settings_of(files: FoundFiles, *, threshold: bool) -> Settings:
    """Read the settings.

    Args:
        files: of one autoencoder.
        threshold: whether the weights have one: Gemma Scope 1 has no settings, and is JumpReLU.

    Raises:
        SiteError: an architecture or a setting that is not known.
    """
    config, where = files.config, files.settings or files.weights
    _require_plain(config, where)
    _require_own_place(files)
    kind = _kind(files, threshold=threshold)
    by_norm = _switch(config, "rescale_acts_by_decoder_norm", where, usual=False)
    if by_norm and kind != "topk":
        raise SiteError(f"{where}: rescale_acts_by_decoder_norm is read of 'topk', not of {kind!r}")
    return Settings(
        kind=kind,
        hook=_hook(files),
        k=_k(config, where) if kind == "topk" else 0,
        centred=_switch(config, "apply_b_dec_to_input", where, usual=files.layout == "SAELens"),
        norm=_norm(config, where),
        by_norm=by_norm,
    )


def _kind(files: FoundFiles, *, threshold: bool) -> Kind:
    config, where = files.config, files.settings or files.weights
    usual = "jumprelu" if files.layout == "Gemma Scope" else "standard"
    said = config.get("architecture", usual)
    if "architecture" not in config and files.layout == "Gemma Scope" and not threshold:
        raise SiteError(
            f"{files.weights}: no threshold of a JumpReLU autoencoder; where it is another, say "
            'so beside it in config.json: {"architecture": "standard"}'
        )
    if not isinstance(said, str) or said not in _KINDS:
        raise SiteError(
            f"{where}: architecture {shown(said)} is not read, expected one of "
            f"{', '.join(map(repr, _KINDS))}"
        )
    act = str(config.get("activation_fn", config.get("activation_fn_str", "relu")))
    if act not in ("relu", "topk", "jumprelu"):
        raise SiteError(f"{where}: activation_fn {act!r} is not read, expected 'relu' or 'topk'")
    kind = "topk" if act == "topk" and said == "standard" else _KINDS[said]
    if act not in ("relu", kind):
        raise SiteError(f"{where}: architecture {said!r} and activation_fn {act!r} differ")
    return kind


def _switch(config: dict[str, Any], name: str, where: Path, *, usual: bool) -> bool:
    said = config.get(name, usual)
    if said not in (True, False):
        raise SiteError(f"{where}: expected {name} true or false, got {shown(said)}")
    return bool(said)


def _norm(config: dict[str, Any], where: Path) -> Norm:
    said = config.get("normalize_activations") or "none"
    known: tuple[Norm, ...] = get_args(Norm)
    if found := [norm for norm in known if norm == said]:
        return found[0]
    raise SiteError(
        f"{where}: normalize_activations is {shown(said)}, whose factor is not in the files: "
        "fold it into the weights and say 'none'"
    )


def _k(config: dict[str, Any], where: Path) -> int:
    kwargs = config.get("activation_fn_kwargs") or {}
    k = config.get("k", kwargs.get("k") if isinstance(kwargs, dict) else None)
    if not isinstance(k, (int, float)) or isinstance(k, bool) or not float(k).is_integer():
        raise SiteError(f"{where}: expected a whole number k of a TopK autoencoder, got {shown(k)}")
    return int(k)


def _require_plain(config: dict[str, Any], where: Path) -> None:
    """Refuse what reads one activation and writes another, or reads a part of one."""
    into = next((config[name] for name in _HOOKS if config.get(name)), None)
    if config.get("d_out") not in (None, config.get("d_in")):
        raise SiteError(f"{where}: d_out is not d_in, a transcoder: expected an autoencoder")
    for name in _OUT:
        if config.get(name) not in (None, into):
            raise SiteError(
                f"{where}: reads {into} and writes {config[name]}, a transcoder: expected an "
                "autoencoder of one hook point"
            )
    if config.get("hook_head_index") is not None:
        raise SiteError(f"{where}: reads one attention head alone, which is not supported")
    if config.get("affine_connection") or config.get("type", "sae") != "sae":
        kind = shown(config.get("type", "affine"))
        raise SiteError(f"{where}: is of type {kind}, expected a plain sparse autoencoder")
    said, layer = str(into or ""), config.get("hook_layer", config.get("hook_point_layer"))
    if (found := re.match(r"blocks\.(\d+)\.", said)) and layer not in (None, int(found[1])):
        raise SiteError(f"{where}: hook_layer is {shown(layer)}, and reads {said}")


def _require_own_place(files: FoundFiles) -> None:
    """Refuse what Gemma Scope keeps among transcoders: its files look like an autoencoder's."""
    parts = files.weights.parent.absolute().parts
    among = [part for part in parts if any(other in part.lower() for other in _OTHERS)]
    if among and files.layout == "Gemma Scope":
        raise SiteError(
            f"{files.weights} lies in {among[-1]}: expected an autoencoder, which writes what it "
            "reads; move one elsewhere"
        )


def _hook(files: FoundFiles) -> str:
    """The hook point by the settings, or by the folder's name as Gemma Scope calls folders."""
    named = next((files.config[name] for name in _HOOKS if files.config.get(name)), None)
    if named is not None or files.layout == "SAELens":
        return str(named or "")
    parts = files.weights.parent.absolute().parts
    layers = [found[1] for part in parts if (found := _LAYER.match(part))]
    kinds = [found[1] for part in parts if (found := _PART.search(part))]
    if len(layers) != 1 or kinds:
        return ""
    return f"blocks.{layers[0]}.hook_resid_post"
