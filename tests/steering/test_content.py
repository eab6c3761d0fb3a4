"""positions="content" is what recordings and costs count: prefixes and skipped tokens too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.corpus import LabelledCorpus
from mechsteer.costs import perplexity
from mechsteer.recording import Reading, embed
from mechsteer.recording.tokens import tokenize
from tests.steering.test_positions import moved, shift_of

CORPUS = LabelledCorpus({"eng_Latn": ["the cat sat", "the</s> dog"], "fra_Latn": ["le chien"]})


@pytest.mark.filterwarnings("ignore:special tokens are written")
@pytest.mark.parametrize("reading", [Reading(), Reading(prefix="le "), Reading(skip_first=True)])
def test_an_embedding_is_edited_at_its_real_tokens_alone(
    bridge: Callable[..., Any], reading: Reading
) -> None:
    model = bridge("llama", template="<s> $A </s>")
    with ms.steer(model, shift_of(model), positions="content"), moved(model) as found:
        embed(model, CORPUS, reading=reading.changed({"batch_tokens": 1}))
    texts = CORPUS.flatten()[0]
    tokens = list(tokenize(texts, model.plain_tokenizer, prefix=reading.prefix))
    real = [t.without_first() if reading.skip_first else t.real for t in tokens]
    expected = sorted(row.astype(int).tolist() for row in real)
    # a pass over one token alone looks at the hook points first
    assert sorted(rows[0] for rows in found if len(rows[0]) > 1) == expected


def test_a_decoder_is_edited_at_the_same_tokens_one_to_the_right(bridge: Any) -> None:
    model = bridge("t5", template="$A </s>")
    corpus = LabelledCorpus({"eng_Latn": ["the cat sat"]})
    from mechsteer.interventions import NeuronEdit
    from mechsteer.model.sites import find_site
    from mechsteer.recording import record

    site = find_site(model, "decoder.post")
    index = torch.arange(site.n_neurons)
    edit = NeuronEdit("hold", site, index, torch.zeros(len(index)), torch.full(index.shape, 7.0))
    seen: list[torch.Tensor] = []
    point = model.hook_dict[site.points[0].hook]
    with ms.steer(model, edit, positions="content"):
        handle = point.add_hook(lambda z, hook: seen.append(z.clone()))
        record(model, corpus, site="decoder.post", prefix="le ")
    handle.hook.remove()
    point.fwd_hooks[:] = [kept for kept in point.fwd_hooks if kept is not handle]
    (tokens,) = tokenize(["the cat sat"], model.plain_tokenizer, prefix="le ")
    held = (seen[-1][0] == 7).all(-1).tolist()
    assert held == [False, *tokens.real[:-1].tolist()]


def test_a_text_is_predicted_with_its_real_tokens_edited_alone(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    with ms.steer(model, shift_of(model), positions="content"), moved(model) as found:
        perplexity(model, "the cat", prefix="le ", progress=False)
    (tokens,) = tokenize(["the cat"], model.plain_tokenizer, prefix="le ")
    assert found[-1] == [tokens.real.astype(int).tolist()]


def test_what_a_pass_said_ends_with_it(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    before = set(vars(model.original_model))
    embed(model, CORPUS.select(["fra_Latn"]))
    assert set(vars(model.original_model)) == before
