"""Log-likelihoods and divergences of the tokens of one batch of windows, summed by text."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from mechsteer.costs.windows import WindowBatch
from mechsteer.errors import ModelError
from mechsteer.model.interface import Model
from mechsteer.recording.counted import counting
from mechsteer.recording.finite import remedy

_CHUNK = 1 << 24  # float64 logits at a time: 128 MB


def divergence(
    p_logits: Float[Tensor, "token word"], q_logits: Float[Tensor, "token word"]
) -> Float[Tensor, " token"]:
    """``KL(p ‖ q)`` of each row in nats, float64; words of probability 0 under p add nothing.

    >>> divergence(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]])).tolist()
    [0.0]
    """
    p, q = p_logits.double().log_softmax(-1), q_logits.double().log_softmax(-1)
    return torch.where(p == -torch.inf, 0.0, p.exp() * (p - q)).sum(-1)


@torch.inference_mode()
def logits_of(model: Model, batch: WindowBatch) -> Float[Tensor, "window token word"]:
    """The model's logits on every window of a batch."""
    device = model.input_device
    ids, mask = batch.ids.to(device), batch.mask.to(device)
    with counting(model, batch.real):
        logits: Tensor = model(ids, attention_mask=mask, return_type="logits", use_cache=False)
    return logits


def negative_log(logits: Tensor, batch: WindowBatch) -> Float[Tensor, " token"]:
    """``-log p`` of each token that is asked for, in the order of ``batch.scored.nonzero()``."""
    found = []
    for row, place in _chunks(batch, logits.shape[-1]):
        asked = batch.ids[row, place + 1].to(logits.device)
        logp = logits[row, place].double().log_softmax(-1)
        found.append(-logp.gather(1, asked[:, None])[:, 0].cpu())
    return torch.cat(found)


def divergences(p: Tensor, q: Tensor, batch: WindowBatch) -> Float[Tensor, " token"]:
    """``KL(p ‖ q)`` at each token that is asked for, in the same order."""
    chunks = _chunks(batch, p.shape[-1])
    return torch.cat([divergence(p[row, place], q[row, place]).cpu() for row, place in chunks])


def _chunks(batch: WindowBatch, n_words: int) -> Iterator[tuple[Tensor, Tensor]]:
    places, size = batch.scored.nonzero(), max(1, _CHUNK // n_words)
    for start in range(0, len(places), size):
        chunk = places[start : start + size]
        yield chunk[:, 0], chunk[:, 1]


def add(
    total: Float[Tensor, " text"], batch: WindowBatch, values: Float[Tensor, " token"], model: Model
) -> None:
    """Add the values of a batch's tokens to their texts.

    Raises:
        ModelError: a value is not finite; the text is named.
    """
    texts = batch.texts[batch.scored.nonzero()[:, 0]]
    if lost := texts[~values.isfinite()].tolist():
        raise ModelError(
            f"the model's logits are not finite on text {min(lost)}: {remedy(model.dtype)}"
        )
    total.index_add_(0, texts, values)
