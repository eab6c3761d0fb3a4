"""Whether the neurons of a layer account for all that its MLP adds to the residual stream.

Every block is run on a random input of its own, with three things changed: norms pass on what they
get, the down-projection gives 0, and what mixes tokens (attention, a state-space layer) gives 0. Of
a block whose MLP speaks through its down-projection alone only the residual connection is left: it
returns its input, times one number at most, plus a constant. Whatever else depends on the input is
a path beside the neurons, such as routed experts beside a shared one.

Nothing of this goes by names or by hook points: a module mixes tokens where other tokens change
what it returns for a token that stayed the same, and what a block returns is read off the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mechsteer.errors import SiteError
from mechsteer.model.hooks import undisturbed
from mechsteer.model.interface import Model
from mechsteer.model.linear import features, own
from mechsteer.model.sites.isolation import SENTENCES, TOKENS, Given, Layer, Parts, Rows, Seen, run

_SAME, _OTHER = 1e-3, 1e-2  # of the largest value: a token stayed as it was, or became another
_ROUNDINGS = 8  # of the activations' dtype, by which sums may differ
_ROUNDS = 4  # of looking for mixers: cross-attention shows once what is before it is silent
_OF_MIXTURES = ("expert", "moe", "router")  # in names of classes, for words alone

Inputs = dict[Layer, Given]
Mixers = dict[Layer, set[nn.Module]]


def unaccounted(model: Model) -> Mapping[Layer, str]:
    """Why the neurons of a layer are not all of its MLP, for the layers of which that is so.

    Also compared is what passes the hook point of the neurons, put through the down-projection,
    with what the down-projection gave in the same pass. Some passes over 16 random tokens, once for
    each model.

    Raises:
        SiteError: the model cannot be run like this.
    """
    if model.facts.unaccounted is None:
        try:
            with torch.inference_mode(), undisturbed(model):
                model.facts.unaccounted = dict(_unaccounted(model, _blocks(model)))
        except SiteError:
            raise
        except Exception as error:
            what = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SiteError(
                f"whether the neurons of {model.cfg.architecture} are all of its MLPs cannot be "
                f"told, since a pass over a few tokens fails: {what}"
            ) from error
    return model.facts.unaccounted


def _blocks(model: Model) -> dict[Layer, Parts]:
    """The blocks that have a down-projection."""
    points, found = model.hook_dict, {}
    for stack in model.stacks:
        for layer, block in enumerate(stack.blocks):
            mlp = getattr(block, "mlp", None)
            down: Any = getattr(mlp, "out", None) or getattr(mlp, "dense_out", None)
            point = points.get(stack.hook(layer, "mlp.hook_post"))
            if point is not None and features(own(down)) is not None:
                whole = block if isinstance(block, nn.Module) else block.original_component
                parts = Parts(whole, own(down), frozenset({down, own(down)}), point)
                found[stack.name, layer] = parts
    return found


def _unaccounted(model: Model, blocks: dict[Layer, Parts]) -> Iterator[tuple[Layer, str]]:
    ones, others = _inputs(blocks)
    mixers: Mixers = {at: set() for at in blocks}
    for _ in range(_ROUNDS):
        seen, beside = (run(model, blocks, given, mixers) for given in (ones, others))
        new = {at: _mixing(blocks[at], seen[at], beside[at]) for at in blocks}
        if not any(new.values()):
            break
        mixers = {at: mixers[at] | new[at] for at in blocks}
    bare = [at for at in blocks if _is_residual(ones[at], others[at], seen[at], beside[at])]
    if len(bare) < len(blocks):
        bare += _explained(model, blocks, (ones, others), (seen, beside), mixers)
    for at, parts in blocks.items():
        if not _are_tensors(seen[at]):
            yield at, f"layer {at[1]}: the modules of its MLP give more than an activation"
        elif _overflows(seen[at]):  # whoever records it says where, and what to type
            continue
        elif not _is_written(parts, seen[at]):
            yield at, f"layer {at[1]}: its MLP writes something else than W_out times its neurons"
        elif at not in bare:
            yield at, _reason(at[1], parts.block)


def _inputs(blocks: dict[Layer, Parts]) -> tuple[Inputs, Inputs]:
    """Two random inputs for each block that agree on the last token of every sentence."""
    random, ones, others = torch.Generator().manual_seed(0), {}, {}
    for at, parts in blocks.items():
        _, d_model = features(parts.down) or (0, 0)
        one, other = torch.randn(2, SENTENCES, TOKENS, d_model, generator=random)
        one[:, -1] *= 0.1  # as a query it attends to all tokens about alike
        other[:, -1] = one[:, -1]
        ones[at], others[at] = Given(one), Given(other)
    return ones, others


def _mixing(parts: Parts, seen: Seen, beside: Seen) -> set[nn.Module]:
    """The innermost modules of a block that mix tokens, seen with other tokens before the last."""
    found = {
        module
        for module, (got, gave) in seen.calls.items()
        if module in beside.calls
        and _apart(got, beside.calls[module][0]) < _SAME
        and _apart(gave, beside.calls[module][1]) > _OTHER
    }
    return {
        module
        for module in found
        if not any(
            part in found or part is parts.down for part in module.modules() if part != module
        )
    }


def _apart(x: Rows, y: Rows) -> float:
    """How far the last tokens of two runs are apart, in units of the largest value."""
    size = float(y[:, -1].abs().max())
    return float((x[:, -1] - y[:, -1]).abs().max()) / size if size else 0.0


def _is_residual(one: Given, other: Given, seen: Seen, beside: Seen) -> bool:
    """Whether a block returned its input times a number, but for a constant."""
    if seen.returned is None or beside.returned is None:
        return False
    x, y = seen.returned.double().cpu(), beside.returned.double().cpu()
    a, b = (given.block.to(seen.returned).double().cpu() for given in (one, other))
    scale = ((x - y) * (a - b)).sum() / (a - b).square().sum()
    sizes = x.abs() + y.abs() + scale.abs() * (a.abs() + b.abs())
    within = (x - y - scale * (a - b)).abs() <= _ROUNDINGS * _eps(seen.returned) * sizes
    return bool(scale.abs() > _SAME) and bool(within.all())


def _explained(
    model: Model,
    blocks: dict[Layer, Parts],
    given: tuple[Inputs, Inputs],
    seen: tuple[dict[Layer, Seen], dict[Layer, Seen]],
    mixers: Mixers,
) -> list[Layer]:
    """Blocks that are residual connections otherwise than by returning what they got.

    Where an attention module adds the residual stream itself (BLOOM), its output stands for that.
    Where a part of its own follows the MLP (per-layer embeddings of Gemma 4), the block makes of
    its input what it makes of the same numbers given by the down-projection.
    """
    still = {at for at in blocks if _same(seen[0][at].returned, seen[1][at].returned)}

    def instead(at: Layer, old: Given) -> Given:
        if at in still:
            return replace(old, mixed=old.block)
        return Given(torch.zeros_like(old.block), down=old.block)

    again = [{at: instead(at, old) for at, old in inputs.items()} for inputs in given]
    found = [run(model, blocks, inputs, mixers) for inputs in again]
    return [
        at
        for at in blocks
        if (
            _is_residual(given[0][at], given[1][at], found[0][at], found[1][at])
            if at in still
            else all(
                _same(x[at].returned, y[at].returned) for x, y in zip(found, seen, strict=True)
            )
        )
    ]


def _are_tensors(seen: Seen) -> bool:
    """Whether neurons and outputs are plain activations, without scales beside them (I-BERT)."""
    return all(x is None or isinstance(x, Tensor) for x in (seen.neurons, seen.written))


def _overflows(seen: Seen) -> bool:
    """Whether numbers got too large for the weights' dtype, so that nothing can be compared."""
    read = [x for x in (seen.neurons, seen.written) if x is not None]
    return not all(bool(x.isfinite().all()) for x in read)


def _is_written(parts: Parts, seen: Seen) -> bool:
    """Whether the down-projection gave what it makes of the neurons that passed the hook point."""
    if seen.neurons is None or seen.written is None:
        return False
    expected: Tensor = parts.down.forward(seen.neurons)
    return expected.numel() == seen.written.numel() and _same(
        expected.view_as(seen.written), seen.written
    )


def _same(x: Tensor | None, y: Tensor | None) -> bool:
    """Equal but for rounding."""
    if x is None or y is None:
        return False
    bound = _ROUNDINGS * _eps(x) * float(y.abs().max())
    return bool(float((x - y).abs().max()) <= bound)


def _eps(x: Tensor) -> float:
    return torch.finfo(x.dtype).eps


def _reason(layer: int, block: nn.Module) -> str:
    classes = [type(module).__name__ for module in block.modules()]
    named = [name for name in classes if any(word in name.lower() for word in _OF_MIXTURES)]
    if named:
        return (
            f"layer {layer} is a mixture of experts ({', '.join(dict.fromkeys(named))}), and the "
            "neurons of its down-projection are a part of what it adds, not all"
        )
    return (
        f"layer {layer} adds more to the residual stream than its attention and its "
        "down-projection give, so its neurons are a part of what its MLP does, not all"
    )
