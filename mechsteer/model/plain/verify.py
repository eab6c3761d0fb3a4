"""Check on a forward pass what was found by structure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mechsteer.errors import MechsteerError
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.device import n_embedded, token_device
from mechsteer.model.hugging_face import HuggingFaceModel
from mechsteer.model.linear import features, is_norm
from mechsteer.model.plain.structure import PlainMLP, PlainStack, unsupported

Seen = dict[nn.Module, list[tuple[Tensor | None, Tensor]]]


def verified_norm(model: HuggingFaceModel, stack: PlainStack) -> nn.Module | None:
    """Run two short sentences and check what was found; return the final norm, if there is one.

    Every block and down-projection runs once, on neurons and a residual stream of the right shape;
    what the stack returns is the last block's output, or that through one norm; and padding behind
    a sentence changes nothing before it.

    Raises:
        ModelError: it is otherwise.
    """
    inside = {module for block in stack.blocks for module in block.modules()}
    norms = [m for m in stack.owner.modules() if m not in inside and is_norm(m)]
    ids = torch.arange(2, 12, device=token_device(model)).view(2, 5)
    outs = [mlp.out for mlp in stack.mlps]
    seen = _trace(model, {*stack.blocks, *outs, *norms, stack.owner}, ids, n_padding=0)
    d_model = int(model.config.hidden_size)
    wanted = dict.fromkeys(stack.blocks, d_model)
    wanted |= {out: (features(out) or (0, 0))[0] for out in outs}
    for module, width in wanted.items():
        shapes = [tuple(given.shape) for given, _ in seen.get(module, []) if given is not None]
        if shapes != [(2, 5, width)]:
            raise unsupported(
                model,
                f"expected every {type(module).__name__} to run once on [sentence, token, width] "
                f"of {[2, 5, width]}, got {shapes}",
            )
    if stack.owner not in seen:
        raise unsupported(model, f"{type(stack.owner).__name__} holds its blocks and never runs")
    for block, mlp in _kinds(stack):
        _require_tokenwise(model, block, mlp.out, ids, seen)
    last = seen[stack.blocks[-1]][0][1]
    padded = _trace(model, {stack.blocks[-1]}, ids, n_padding=3)[stack.blocks[-1]][0][1]
    bound = torch.finfo(last.dtype).eps ** 0.5 * last.abs().max()
    if not (padded[:, :5] - last).abs().max() <= bound:
        raise unsupported(model, "padding changes what comes before it, in spite of the mask")
    return _final_norm(model, stack, norms, seen)


def _kinds(stack: PlainStack) -> Iterator[tuple[nn.Module, PlainMLP]]:
    """One block of each kind, with its MLP."""
    kinds: dict[tuple[str, ...], tuple[nn.Module, PlainMLP]] = {}
    for block, mlp in zip(stack.blocks, stack.mlps, strict=True):
        kinds.setdefault(tuple(type(m).__name__ for m in block.modules()), (block, mlp))
    yield from kinds.values()


def _require_tokenwise(
    model: HuggingFaceModel, block: nn.Module, down: nn.Module, ids: Tensor, seen: Seen
) -> None:
    """Refuse neurons that mix tokens, as those of a state-space mixer do.

    What the linear modules beside a down-projection give is changed at the first token; the neurons
    of the others must keep their bits. Where it stands alone in its module nothing is said.
    """
    owner = next(part for part in block.modules() if down in part.children())
    beside = [m for m in owner.children() if m is not down and features(m) is not None]

    def move(module: nn.Module, args: Any, out: Any) -> Any:
        moved = (out[0] if isinstance(out, tuple) else out).clone()
        moved[:, 0] += 1
        return (moved, *out[1:]) if isinstance(out, tuple) else moved

    handles = [module.register_forward_hook(move) for module in beside]
    try:
        neurons = _trace(model, {down}, ids, n_padding=0)[down][0][0]
    finally:
        for handle in handles:
            handle.remove()
    before = seen[down][0][0]
    if neurons is None or before is None or not torch.equal(neurons[:, 1:], before[:, 1:]):
        raise unsupported(model, "what its down-projection reads at a token depends on others")


@torch.inference_mode()
def _trace(
    model: HuggingFaceModel, modules: set[nn.Module], ids: Tensor, *, n_padding: int
) -> Seen:
    """What modules got and returned, call by call."""
    seen: Seen = {}

    def keep(module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        given = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        seen.setdefault(module, []).append((given, out if isinstance(out, Tensor) else out[0]))

    handles = [m.register_forward_hook(keep, with_kwargs=True) for m in modules]
    named = getattr(model.config, "pad_token_id", None)
    pad = named if isinstance(named, int) and 0 <= named < n_embedded(model) else 0
    mask = nn.functional.pad(torch.ones_like(ids), (0, n_padding))
    ids = nn.functional.pad(ids, (0, n_padding), value=pad)
    try:
        model(ids, attention_mask=mask, **decoder_inputs(model, ids, mask))
    except MechsteerError:
        raise
    except Exception as error:  # it needs more than tokens, say
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise unsupported(model, f"it does not run on tokens alone: {line}") from error
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _final_norm(
    model: HuggingFaceModel, stack: PlainStack, norms: list[nn.Module], seen: Seen
) -> nn.Module | None:
    last, returned = seen[stack.blocks[-1]][0][1], seen[stack.owner][0][1]
    if torch.equal(last, returned):
        return None
    for norm in norms:
        for given, out in seen.get(norm, []):
            if given is not None and torch.equal(given, last) and torch.equal(out, returned):
                return norm
    raise unsupported(model, "what follows its last block is not one norm")
