"""Constant edits done by nothing but PyTorch's hooks on a plain model, in any precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechsteer.exports.constant import Map, constants
from mechsteer.exports.plain import counterpart, plain_copy, sentence
from mechsteer.interventions import Edit, NeuronEdit, ResidualEdit
from mechsteer.model.interface import Model
from mechsteer.model.linear import own
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site, residual_points
from mechsteer.model.wrap import as_model, wrap
from mechsteer.steering import steer


def clamped(model: Model, site: str = "post", *, strength: float = 1.0, k: int = 12) -> NeuronEdit:
    """A clamp of some neurons all over a model."""
    found = find_site(model, site)
    random = torch.Generator().manual_seed(1)
    index = torch.randperm(found.n_neurons, generator=random)[:k]
    b = torch.randn(k, generator=random) / 2
    return NeuronEdit("clamp", found, index, torch.zeros(k), b).scaled(strength)


def shifted(model: Model, rows: slice | None = None) -> ResidualEdit:
    """A vector added to rows of the residual stream, those after blocks by default."""
    points = residual_points(model)[slice(1, -1) if rows is None else rows]
    random = torch.Generator().manual_seed(2)
    v = torch.randn(1, len(points), points[0].width, generator=random) / 4
    return ResidualEdit("shift", points, v)


def gained(folder: Path, dtype: torch.dtype = torch.float32) -> Model:
    """A tiny checkpoint's model, whose norms have gains as trained ones do."""
    from transformers import AutoTokenizer

    hf = plain_copy(load_model(folder, device="cpu", dtype=dtype))
    random = torch.Generator().manual_seed(0)
    for name, weight in hf.named_parameters():
        if name.endswith("norm.weight"):
            weight.data += torch.rand(weight.shape, generator=random).to(dtype) / 2
    return as_model(wrap(hf, tokenizer=AutoTokenizer.from_pretrained(folder)))


@torch.inference_mode()
def logits(plain: Any) -> Tensor:
    """Float64 logits, or last hidden states, of a few real tokens."""
    inputs = sentence(plain)
    out = plain(**inputs)
    numbers = out.logits if "logits" in out else out[0]
    return numbers[inputs["attention_mask"].bool()].double()


def exact(model: Model, edits: Sequence[Edit]) -> Tensor:
    """Logits in float64 of a model's weights under edits, by hooks of our own."""
    plain = plain_copy(model).double()
    with by_hand(model, plain, edits):
        return logits(plain)


def own_rounding(model: Model, edits: Sequence[Edit]) -> float:
    """How far the hooked model is from exact arithmetic, in units ``eps·max|logit|``."""
    wanted, inputs = exact(model, edits), sentence(model.original_model)
    with steer(model, *edits), torch.inference_mode():
        out = model.original_model(**inputs)
    numbers = out.logits if "logits" in out else out[0]
    hooked = numbers[inputs["attention_mask"].bool()].double()
    unit = torch.finfo(model.dtype).eps * float(wanted.abs().max())
    return float((hooked - wanted).abs().max()) / unit


@contextmanager
def by_hand(model: Model, plain: Any, edits: Sequence[Edit]) -> Iterator[None]:
    """Within, the plain model runs edited."""
    handles = []
    for part in constants(edits):
        stack = model.stack(part.point.stack)
        if isinstance(part, Map):
            mlp = stack.blocks[part.point.layer].mlp
            down = getattr(mlp, "out", None) or mlp.dense_out
            handles.append(_module(model, plain, down).register_forward_pre_hook(_mapping(part)))
        elif part.point.layer == 0:
            first = _module(model, plain, _block(stack.blocks[0]))
            handles.append(first.register_forward_pre_hook(_entering(part.v), with_kwargs=True))
        elif part.point.layer > len(stack.blocks) and stack.norm is not None:
            norm = _module(model, plain, stack.norm[1])
            handles.append(norm.register_forward_hook(_leaving(part.v)))
        else:
            last = min(part.point.layer, len(stack.blocks)) - 1
            block = _module(model, plain, _block(stack.blocks[last]))
            handles.append(block.register_forward_hook(_leaving(part.v)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _block(block: Any) -> Any:
    return block if isinstance(block, torch.nn.Module) else block.original_component


def _module(model: Model, plain: Any, module: Any) -> Any:
    return counterpart(model, plain, own(module))[1]


def _mapping(part: Map) -> Any:
    return lambda module, args: (_moved(args[0], part.a, part.b), *args[1:])


def _leaving(v: Tensor) -> Any:
    def add(module: Any, args: Any, out: Any) -> Any:
        if isinstance(out, tuple):
            return (_added(out[0], v), *out[1:])
        return _added(out, v)

    return add


def _entering(v: Tensor) -> Any:
    def add(module: Any, args: Any, kwargs: Any) -> Any:
        if args:
            return (_added(args[0], v), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": _added(kwargs["hidden_states"], v)}

    return add


def _moved(z: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``a·z + b``, in float32 at least and rounded once, as hooks of mechsteer do it."""
    wide = torch.promote_types(z.dtype, torch.float32)
    return (z.to(wide) * a.to(wide) + b.to(wide)).to(z)


def _added(h: Tensor, v: Tensor) -> Tensor:
    """``h + v`` in the precision of the stream, as every steering library does it."""
    return h + v.to(h)
