"""Words drawn from next-token distributions, without sorting the words that cannot be drawn."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_SPAN = 12.0  # the likely words: within a factor of e^12 of the likeliest
_REST = 1e-4  # relative, of a sum of float32 exponentials: of arguments above -87, 2e-5
_ROUNDING = 1e-9  # relative, of a float64 sum over a vocabulary


def draw(
    logits: Float[Tensor, "row word"],
    uniform: Float[Tensor, " row"],
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Int[Tensor, " row"]:
    """The word of each row at a uniform number in [0, 1); equal logits go by word number.

    Probabilities are float64. A vocabulary of 262,144 words takes 30 ms to sort, and a draw reads
    the likeliest of them: these are sorted alone, and all only where they do not decide it. The
    word is the same either way.

    >>> draw(torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([0.5]))
    tensor([1])
    """
    if temperature == 0:
        return logits.argmax(-1)
    if logits.device.type != "cpu" or logits.dtype != torch.float32:
        return _of_all(logits, uniform, temperature, top_p)
    scratch = logits.new_empty(logits.shape[1])  # new memory for each row would cost more
    words = [
        _of_likely(x, float(u), temperature, top_p, scratch)
        for x, u in zip(logits, uniform, strict=True)
    ]
    found = torch.tensor(words)
    if left := [row for row, word in enumerate(words) if word < 0]:
        found[left] = _of_all(logits[left], uniform[left], temperature, top_p)
    return found


def _of_all(
    logits: Float[Tensor, "row word"],
    uniform: Float[Tensor, " row"],
    temperature: float,
    top_p: float,
) -> Int[Tensor, " row"]:
    p, words = (
        (logits.double() / temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
    )
    cumulative = p.cumsum(-1)
    last = (cumulative < top_p).sum(-1, keepdim=True).clamp(max=p.shape[-1] - 1)
    point = uniform.to(p)[:, None] * cumulative.gather(-1, last)
    place = torch.minimum((cumulative <= point).sum(-1, keepdim=True), last)
    return words.gather(-1, place)[:, 0]


def _of_likely(
    logits: Float[Tensor, " word"],
    u: float,
    temperature: float,
    top_p: float,
    scratch: Float[Tensor, " word"],
) -> int:
    """The word that ``_of_all`` gives, from the likeliest words alone; -1 where they cannot tell.

    The likely words in order are the first of all words in order, ties included. Their weights are
    float64; the sum of all other weights is float32, known within ``_REST``, and every float64 sum
    within ``_ROUNDING``. The word's place grows with the sum of all weights, so if the least and
    the largest that it can be give one place, that is the place.
    """
    most = logits.amax()
    # numpy finds a few among many four times as fast as torch does.
    words = torch.from_numpy(np.flatnonzero(logits.numpy() > float(most - _SPAN * temperature)))
    scaled = logits[words].double() / temperature
    weights, order = (scaled - scaled.amax()).exp().sort(descending=True, stable=True)
    cumulative = weights.cumsum(0)
    others = torch.sub(logits, most, out=scratch).div_(temperature)
    rest = float(others.index_fill_(0, words, -math.inf).exp_().sum())
    places = set()
    for sign in (-1, 1):
        whole = (float(cumulative[-1]) + rest * (1 + sign * _REST)) * (1 + sign * _ROUNDING)
        places.add(_place(cumulative, u * (1 + sign * _ROUNDING), whole, top_p))
    place = places.pop()
    return -1 if places or place < 0 else int(words[order[place]])


def _place(cumulative: Float[Tensor, " word"], u: float, whole: float, top_p: float) -> int:
    """Where u falls in the nucleus of weights that sum to ``whole``; -1 beyond those given."""
    last = int((cumulative < top_p * whole).sum()) if top_p < 1 else len(cumulative)
    if last == len(cumulative) and top_p < 1:
        return -1
    end = whole if top_p == 1 else float(cumulative[last])
    place = min(int((cumulative <= u * end).sum()), last)
    return place if place < len(cumulative) else -1
