"""A draw from the likeliest words is the draw from all of them, word by word."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mechsteer.costs import drawing
from mechsteer.costs.drawing import draw


def of_all(logits: torch.Tensor, u: torch.Tensor, temperature: float, top_p: float) -> list[int]:
    """Every word sorted, in numpy, on the probabilities that torch gives."""
    found = []
    for row, number in zip((logits.double() / temperature).softmax(-1).numpy(), u, strict=True):
        order = np.argsort(-row, kind="stable")
        cumulative = np.cumsum(row[order])
        last = min(int((cumulative < top_p).sum()), len(row) - 1)
        place = int((cumulative <= float(number) * cumulative[last]).sum())
        found.append(int(order[min(place, last)]))
    return found


def cases() -> torch.Tensor:
    """Flat, peaked and tied rows, words ruled out, ties on both sides of the least probability."""
    generator = torch.Generator().manual_seed(0)
    flat, peaked = (torch.randn(12, 4000, generator=generator) * scale for scale in (0.1, 5))
    tied = (peaked * 2).round() / 2
    out = peaked.masked_fill(torch.rand(12, 4000, generator=generator) < 0.9, -torch.inf)
    one = torch.full((2, 4000), -50.0)
    one[:, 7] = 50.0
    at_least = torch.full((2, 4000), 1e-4).log()  # all words at the first cut
    at_least[:, 0] = 0.6001
    return torch.cat([flat, peaked, tied, out, one, at_least.double().float()])


@pytest.mark.parametrize("top_p", [1e-9, 0.3, 0.9, 0.9999999, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 3.0])
def test_the_likeliest_words_give_the_word_that_all_give(temperature: float, top_p: float) -> None:
    logits = cases()
    generator = torch.Generator().manual_seed(1)
    u = torch.rand(len(logits), generator=generator, dtype=torch.float64)
    u[::7], u[3::7] = 0.0, 1 - 2**-53
    found = draw(logits, u, temperature=temperature, top_p=top_p)
    assert found.tolist() == of_all(logits, u, temperature, top_p)


def test_a_peaked_vocabulary_is_not_sorted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(8, 4000, generator=torch.Generator().manual_seed(2)) * 6
    monkeypatch.setattr(drawing, "_of_all", None)
    assert draw(logits, torch.linspace(0, 0.9, 8, dtype=torch.float64), top_p=0.9).shape == (8,)
