"""Perplexity against a plain sum of log-probabilities, and the divergence of an edit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.costs import compare, divergence, perplexity
from mechsteer.costs.windows import opening, read, windows
from mechsteer.errors import CorpusError, MechsteerError, ModelError
from mechsteer.interventions import NeuronEdit
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site

TEXTS = (
    "The king gave the shepherd a ring, and the shepherd gave it to his daughter.",
    "猫は庭で眠っている。",
    "Le train.",
)


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def edit(model: Any) -> NeuronEdit:
    site = find_site(model)
    index = torch.arange(0, site.n_neurons, 7)
    return NeuronEdit("hold", site, index, torch.zeros(len(index)), torch.full((len(index),), 0.3))


@torch.inference_mode()
def plain_logp(model: Any, ids: list[int]) -> Tensor:
    return model(torch.tensor([ids]))[0].double().log_softmax(-1)


def plain_nll(model: Any, ids: list[int]) -> float:
    logp = plain_logp(model, ids)
    return -sum(logp[at - 1, ids[at]].item() for at in range(1, len(ids)))


def whole(model: Any, text: str) -> list[int]:
    tokenizer = model.plain_tokenizer
    return [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]


def test_one_text_in_one_window_is_the_plain_sum_of_log_probabilities(model: Any) -> None:
    for text in TEXTS:
        ids = whole(model, text)
        found = perplexity(model, text)
        assert found.nll.item() == pytest.approx(plain_nll(model, ids), rel=1e-12)
        assert found.n_tokens.tolist() == [len(ids) - 1]
        assert found.n_bytes.tolist() == [len(text.encode())]
        nll = plain_nll(model, ids)
        assert found.perplexity == pytest.approx(math.exp(nll / (len(ids) - 1)))
        assert found.bits_per_byte == pytest.approx(nll / math.log(2) / len(text.encode()))


def test_texts_in_one_batch_are_as_each_by_itself_and_keep_their_order(model: Any) -> None:
    together = perplexity(model, TEXTS)
    alone = [perplexity(model, text).nll.item() for text in TEXTS]
    assert together.nll.tolist() == pytest.approx(alone, rel=1e-5)
    again = perplexity(model, TEXTS)
    assert torch.equal(again.nll, together.nll)


@pytest.mark.parametrize(("window", "stride"), [(8, 4), (8, 7), (5, 1), (2, 1), (64, 3)])
def test_a_long_text_is_the_sum_over_windows_written_out(
    model: Any, window: int, stride: int
) -> None:
    ids = whole(model, TEXTS[0])
    expected, begin, done = 0.0, 0, 1
    while done < len(ids):
        end = min(begin + window, len(ids))
        logp = plain_logp(model, ids[begin:end])
        expected -= sum(logp[at - begin - 1, ids[at]].item() for at in range(done, end))
        begin, done = begin + stride, end
    found = perplexity(model, TEXTS[0], window=window, stride=stride, batch_tokens=40)
    assert found.nll.item() == pytest.approx(expected, rel=1e-5)
    assert found.n_tokens.item() == len(ids) - 1


@pytest.mark.parametrize("n", [2, 3, 7, 8, 9, 50])
@pytest.mark.parametrize(
    ("window", "stride", "first"), [(8, 4, 1), (8, 7, 2), (2, 1, 2), (3, 1, 3)]
)
def test_every_token_is_scored_once_with_context(
    n: int, window: int, stride: int, first: int
) -> None:
    scored: list[int] = []
    for start, end, begin in windows(n, window, stride, first=first):
        here = range(begin, end)
        assert all(at > start for at in here)
        assert all(at - start >= min(at, window - stride) for at in here)
        scored += here
    assert scored == list(range(first, n))


def test_edits_that_are_installed_act(model: Any, edit: NeuronEdit) -> None:
    before = perplexity(model, TEXTS)
    with ms.steer(model, edit):
        during = perplexity(model, TEXTS)
    assert during.bits_per_byte > before.bits_per_byte
    assert torch.equal(perplexity(model, TEXTS).nll, before.nll)


def test_the_comparison_is_both_perplexities_and_the_plain_divergence(
    model: Any, edit: NeuronEdit
) -> None:
    found = compare(model, edit, texts=TEXTS)
    assert torch.equal(found.before.nll, perplexity(model, TEXTS).nll)
    with ms.steer(model, edit):
        assert torch.equal(found.after.nll, perplexity(model, TEXTS).nll)
    for text, kl in zip(TEXTS, found.kl.tolist(), strict=True):
        ids = whole(model, text)
        p = plain_logp(model, ids)[:-1]
        with ms.steer(model, edit):
            q = plain_logp(model, ids)[:-1]
        expected = sum((p[t].exp() * (p[t] - q[t])).sum().item() for t in range(len(p)))
        assert kl == pytest.approx(expected, rel=1e-4)
    assert found.kl_per_token == pytest.approx(found.kl.sum().item() / found.before.n_tokens.sum())


def test_no_edit_diverges_by_exactly_nothing(model: Any, edit: NeuronEdit) -> None:
    found = compare(model, edit.scaled(0.0), texts=TEXTS)
    assert found.kl.tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(found.before.nll, found.after.nll)


def test_divergence_is_that_of_scipy_and_words_without_probability_add_nothing() -> None:
    from scipy.stats import entropy

    p, q = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(1)) * 3
    p[0, 2], p[1, 3], q[1, 3] = -torch.inf, -torch.inf, -torch.inf
    expected = entropy(p.double().softmax(-1).numpy(), q.double().softmax(-1).numpy(), axis=1)
    assert divergence(p, q).tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    q[2, 0] = -torch.inf
    assert divergence(p, q)[2].item() == math.inf


def test_what_opens_a_text_is_the_tokenizers_own_else_its_separator(model: Any) -> None:
    class Tokenizer:
        bos_token_id: int | None = None
        eos_token_id: int | None = 7
        all_special_ids = (3, 7)
        added: tuple[int, ...] = ()

        def __call__(self, text: str | list[str], **options: Any) -> dict[str, Any]:
            if isinstance(text, list):
                rows = [self(each) for each in text]
                return {name: [row[name] for row in rows] for name in rows[0]}
            own = [ord(letter) for letter in text]
            ids = [*self.added, *own, *self.added]
            special = [1] * len(self.added) + [0] * len(own) + [1] * len(self.added)
            return {"input_ids": ids, "special_tokens_mask": special}

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return [f"<{number}>" for number in ids]

    tokenizer = Tokenizer()
    assert opening(tokenizer) == [7]
    tokenizer.bos_token_id = 3
    assert opening(tokenizer) == [3]
    tokenizer.added = (1, 2)
    assert opening(tokenizer) == [1, 2]
    (text,) = read(["ab"], tokenizer)
    assert text.ids.tolist() == [1, 2, 97, 98]
    assert text.asked.tolist() == [False, False, True, True]
    bare = Tokenizer()
    bare.eos_token_id = None
    with pytest.raises(ModelError, match="no token to start a text with"):
        opening(bare)


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "\ud800", [], ["ok", ""]])
def test_text_without_words_is_refused(model: Any, text: Any) -> None:
    with pytest.raises(CorpusError):
        perplexity(model, text)


@pytest.mark.parametrize("options", [{"window": 1}, {"window": 513}, {"stride": 0},
                                     {"window": 8, "stride": 8}])  # fmt: skip
def test_windows_that_leave_a_gap_are_refused(model: Any, options: dict[str, int]) -> None:
    with pytest.raises(MechsteerError, match="expected a"):
        perplexity(model, "text", **options)


def test_logits_that_are_not_finite_give_no_number(model: Any, edit: NeuronEdit) -> None:
    absurd = replace(edit, b=torch.full_like(edit.b, 3e38))
    with pytest.raises(ModelError, match="not finite"):
        compare(model, absurd, texts=TEXTS)
