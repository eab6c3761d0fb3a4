"""What a card says of a neuron beside what a small edit of it does to the logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mechsteer.cards.writes import vocabulary_logits
from mechsteer.model.decoder import decoder_inputs
from mechsteer.model.interface import Model
from mechsteer.model.linear import features, is_norm, own
from mechsteer.model.sites import direct_path, find_site

NEURON = 5


@torch.inference_mode()
def unexplained_by_a_card(model: Model, layer: int = -1, site: str = "post") -> float:
    """Share of the change of logits under a small edit that is neither the card's nor a divisor's.

    The edit is of a neuron, or of a dimension of the residual stream after a block.

    What linear modules of later layers give stays what it was. The derivative of a norm at h is
    ``g·(c(w) - ĥ (ĥ·w) / d) / σ``, with ĥ the normalised h: the first term is the card's, by the
    second logits move along those of ĥ, be it the output of the MLP, where a norm follows it, or
    the residual stream at the end. How much of each there is, is fitted; the card's share must be
    above 0. Gains and biases are made random first: those of a new model are all alike.
    """
    point = [p for p in find_site(model, site).points if p.stack != "encoder"][layer]
    _randomise(model)
    card = vocabulary_logits(model, point, NEURON)
    assert card is not None and model.unembedding is not None
    blocks = model.stack(point.stack).blocks
    # row l of the residual stream is what block l gives, counted from 1
    block = point.layer if site == "post" else point.layer - 1
    later = [_plain(each) for each in blocks[block + 1 :]]
    kept: dict[Any, Any] = {}
    edited = own(blocks[block].mlp.out) if site == "post" else _plain(blocks[block])
    before, stream, written = _seen(model, edited, _outputs(later, kept))
    unit = blocks[block].mlp.W_out[NEURON].norm() if site == "post" else torch.tensor(1.0)
    size = 0.01 * float(written.norm() / unit)
    up, down = (
        _logits(model, _moved(edited, by, site), *_outputs(later, kept)) for by in (size, -size)
    )
    change = (up - down) / (2 * size)
    if cap := getattr(model.original_model.config, "final_logit_softcapping", None):
        change /= 1 - (before / cap).square()
    row = None if site == "post" else block + 1
    others = [stream, direct_path(model, point, written[None], row=row)[0], *_biases(model, stream)]
    known = torch.stack([card.double(), *(x.double() @ model.unembedding.double() for x in others)])
    shares = torch.linalg.lstsq(known.T, change[:, None], driver="gelsd").solution[:, 0]
    assert shares[0] > 0
    return float((change - shares @ known).norm() / (shares[0] * known[0]).norm())


def _randomise(model: Model) -> None:
    random = torch.Generator().manual_seed(0)
    for parameter in model.original_model.parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn(parameter.shape, generator=random))


def _logits(model: Model, *handles: Any) -> Tensor:
    """Of the last of five tokens, by the Hugging Face model; hooks are removed afterwards."""
    ids = torch.tensor([[1, 20, 30, 40, 50]])
    inputs = decoder_inputs(model.original_model, ids, torch.ones_like(ids))
    logits: Tensor = model.original_model(ids, **inputs).logits[0, -1].double()
    for handle in handles:
        handle.remove()
    return logits


def _seen(model: Model, down: Any, others: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, what the unembedding gets, and what the last down-projection gives."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda module, args, out: seen.update(
            {name: (args[0] if name == "stream" else _first(out)).flatten(0, -2)[-1].clone()}
        )

    head = model.original_model.get_output_embeddings()
    hooks = [
        module.register_forward_hook(keep(name))
        for name, module in (("stream", head), ("written", down))
    ]
    return _logits(model, *hooks, *others), seen["stream"], seen["written"]


def _outputs(blocks: list[Any], kept: dict[Any, Any]) -> list[Any]:
    """Hooks that keep what linear modules give, and give it again where it was kept."""
    parts = [part for block in blocks for part in block.modules() if features(part) is not None]
    return [p.register_forward_hook(lambda m, args, out: kept.setdefault(m, out)) for p in parts]


def _moved(module: Any, by: float, site: str) -> Any:
    """A hook that moves a neuron before its down-projection, or a dimension of a block's output."""

    def before(module: Any, args: Any) -> Any:
        return (_plus(args[0], by), *args[1:])

    def after(module: Any, args: Any, out: Any) -> Any:
        return _plus(out, by) if isinstance(out, Tensor) else (_plus(out[0], by), *out[1:])

    if site == "post":
        return module.register_forward_pre_hook(before)
    return module.register_forward_hook(after)


def _plus(x: Tensor, by: float) -> Tensor:
    x = x.clone()
    x[..., NEURON] += by
    return x


def _first(out: Any) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]


def _biases(model: Model, stream: Tensor) -> list[Tensor]:
    """Of the norms in the last block and behind it: the one part of ĥ that no edit moves."""
    blocks = [_plain(layer) for layer in model.stacks[-1].blocks]
    earlier = {part for layer in blocks[:-1] for part in layer.modules()}
    norms = (m for m in model.original_model.modules() if m not in earlier and is_norm(m))
    found = [norm.bias for norm in norms if getattr(norm, "bias", None) is not None]
    return [bias for bias in found if bias.shape == stream.shape]


def _plain(layer: Any) -> Any:
    return layer if isinstance(layer, torch.nn.Module) else layer.original_component
