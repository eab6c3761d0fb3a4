"""What a GGUF file says or holds, and transformers leaves out of the model that it makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

import torch

from mechsteer.model.gguf.files import GgufFile

# settings of a file, each with what transformers may call it; those it leaves out it guesses
_SAID = {
    "rope.freq_base": ("rope_theta",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "layer_norm_eps", "norm_eps"),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon"),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "logit_scale": ("logit_scale",),
    "expert_used_count": ("num_experts_per_tok",),
    "attention.clamp_kqv": ("clip_qkv",),
}
# blocks of the 27B models, whose attention scale no setting tells; all others have the default
_RESCALED = {"gemma2": 46, "gemma3": 62}
_EXACT = 1e-6  # relative: the file's numbers are float32
_UNSCALED = {None, "none"}


def left_out(file: GgufFile, model: Any, info: Mapping[str, Any]) -> Iterator[str]:
    """What a file says, or holds, and the model does not have, in words."""
    for name, stored, wanted in sorted(info["mismatched_keys"]):
        yield f"{name} is {[*stored]} in the file, and transformers expects {[*wanted]}"
    if file.setting("block_count") == _RESCALED.get(file.architecture):
        yield "its attention is scaled by the width of the model, which transformers does not take"
    if (kind := file.setting("rope.scaling.type")) not in _UNSCALED:
        said = {part.get("rope_type") for part in _parts(model.config) if "rope_type" in part}
        if kind not in said:
            yield f"its rotary positions are scaled ({kind}), which transformers does not take"
    for key, names in _SAID.items():
        said = {part[name] for part in _parts(model.config) for name in names if name in part}
        value = file.setting(key)
        if value is not None and said and not any(_equal(value, other) for other in said):
            yield f"it says {key} = {value:g}, and transformers takes {sorted(map(str, said))[0]}"
    yield from _unread(file, model)


def _unread(file: GgufFile, model: Any) -> Iterator[str]:
    """Tensors of a file for which the model has no place, by their number of weights."""
    tied = getattr(model.config, "tie_word_embeddings", False)
    held = {name: size for name, size in _sizes(file) if not (tied and name == "output.weight")}
    taken = sum(parameter.numel() for parameter in model.parameters())
    if (extra := sum(held.values()) - taken) > 0:
        shapes = Counter(tuple(p.shape) for p in model.parameters())
        odd = [name for name in held if file.shapes[name] not in shapes]
        named = f" ({', '.join(odd[:3])})" if odd else ""
        yield f"it holds {extra:,} weights more than {type(model).__name__} takes{named}"


def _sizes(file: GgufFile) -> Iterator[tuple[str, int]]:
    for name, shape in file.shapes.items():
        yield name, int(torch.Size(shape).numel())


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """A configuration and the tables in it: rotary settings may stand for each kind of layer."""
    tables = [config.to_dict()]
    while tables:
        table = tables.pop()
        yield table
        tables += [inner for inner in table.values() if isinstance(inner, dict)]


def _equal(value: Any, other: Any) -> bool:
    return isinstance(other, (int, float)) and isclose(value, other, rel_tol=_EXACT)
