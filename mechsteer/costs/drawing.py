"""Words drawn from next-token distributions, without sorting the words that cannot be drawn."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

_LEAST = (1e-4, 1e-6)  # likelier words are tried first: at most 10,000, then a million
_ROUNDING = 2.0**-52  # of one addition of numbers below 2


def draw(
    logits: Float[Tensor, "row word"],
    uniform: Float[Tensor, " row"],
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Int[Tensor, " row"]:
    """The word of each row at a uniform number in [0, 1); equal logits go by word number.

    Probabilities are float64. A vocabulary of 262,144 words takes 30 ms to sort and a draw reads
    the likeliest of them, so these are sorted alone, and all only where they do not decide it: the
    word is the same either way.

    >>> draw(torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([0.5]))
    tensor([1])
    """
    if temperature == 0:
        return logits.argmax(-1)
    scaled = logits if temperature == 1 else logits.double() / temperature
    p = scaled.softmax(-1, dtype=torch.float64)
    if p.device.type != "cpu":  # a row takes microseconds there, and sums are not one by one
        return _of_all(p, uniform, top_p)
    words = [_of_likely(row, float(u), top_p) for row, u in zip(p, uniform, strict=True)]
    left = [row for row, word in enumerate(words) if word < 0]
    found = torch.tensor(words)
    if left:
        found[left] = _of_all(p[left], uniform[left], top_p)
    return found


def _of_all(
    p: Float[Tensor, "row word"], uniform: Float[Tensor, " row"], top_p: float
) -> Int[Tensor, " row"]:
    p, words = p.sort(dim=-1, descending=True, stable=True)
    cumulative = p.cumsum(-1)
    last = (cumulative < top_p).sum(-1, keepdim=True).clamp(max=p.shape[-1] - 1)
    point = uniform.to(p)[:, None] * cumulative.gather(-1, last)
    place = torch.minimum((cumulative <= point).sum(-1, keepdim=True), last)
    return words.gather(-1, place)[:, 0]


def _of_likely(p: Float[Tensor, " word"], u: float, top_p: float) -> int:
    """The word that ``_of_all`` gives, from the likeliest words alone; -1 where they cannot tell.

    All words above a probability, in order, are the first of all words in order, ties included, so
    their cumulative sums are the first of all sums, bit by bit. Where they reach ``top_p`` the
    nucleus ends among them and nothing else is read. A nucleus of all words has probability 1 but
    for rounding: the word is told where both ends of that give the same one.
    """
    slack = 4 * len(p) * _ROUNDING
    for least in _LEAST:
        words = (p > least).nonzero()[:, 0]
        ordered, order = p[words].sort(descending=True, stable=True)
        cumulative = ordered.cumsum(-1)
        last = int((cumulative < top_p).sum())
        if last < len(words):
            point = u * cumulative[last]
            place = min(int((cumulative <= point).sum()), last)
            return int(words[order[place]])
        place, other = (int((cumulative <= u * whole).sum()) for whole in (1 - slack, 1 + slack))
        if top_p == 1 and place == other < len(words):
            return int(words[order[place]])
    return -1
