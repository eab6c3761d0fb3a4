"""Tokens beyond the embedding: padding takes another id, content is refused by name."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.errors import ModelError
from mechsteer.model.load import load_model
from mechsteer.selftest import self_test


def with_token(checkpoint: Any, folder: Path, family: str, text: str, **kind: str) -> Any:
    """A model whose tokenizer knows a token that it does not embed."""
    from transformers import AutoTokenizer

    copytree(checkpoint(family), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    known = load_model(folder, device="cpu").n_words
    fill = [f"<filler {i}>" for i in range(known - len(tokenizer))]
    tokenizer.add_tokens([*fill, text])
    tokenizer.add_special_tokens(kind)
    assert tokenizer.convert_tokens_to_ids(text) >= known
    tokenizer.save_pretrained(folder)
    return load_model(folder, device="cpu")


@pytest.mark.parametrize("family", ["llama", "xlmr-headless"])
def test_a_pad_token_beyond_the_embedding_changes_nothing(
    checkpoint, bridge, corpus, tmp_path, family: str
) -> None:
    model = with_token(checkpoint, tmp_path / "copy", family, "[PAD]", pad_token="[PAD]")
    assert model.plain_tokenizer.pad_token_id >= model.n_words
    expected, found = ms.score(bridge(family), corpus), ms.score(model, corpus)
    assert torch.equal(found.ap, expected.ap)
    before, after = ms.embed(bridge(family), corpus), ms.embed(model, corpus)
    assert all(torch.equal(before[code], after[code]) for code in corpus.languages)
    if family == "llama":
        texts = ["the cat sat", "le chat est assis sur le tapis"]
        one, other = ms.perplexity(model, texts), ms.perplexity(bridge(family), texts)
        assert torch.equal(one.nll, other.nll)
    assert {check.verdict for check in self_test(model)} <= {"ok", "not applicable"}


def test_content_beyond_the_embedding_is_refused_by_name(checkpoint, corpus, tmp_path) -> None:
    model = with_token(checkpoint, tmp_path / "copy", "llama", "chat")
    message = r"token 336 \('chat'\), and the model embeds 336: expected the tokenizer"
    for attempt in (
        lambda: ms.score(model, corpus),
        lambda: ms.embed(model, corpus),
        lambda: ms.record(model, corpus),
    ):
        with pytest.raises(ModelError, match=rf"fra_Latn\.txt:\d+: {message}") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=rf"text 1: {message}"):
        ms.perplexity(model, ["the cat", "le chat"])
    from mechsteer.costs import sample

    with pytest.raises(ModelError, match=f"the prompt: {message}"):
        sample(model, prompt="le chat")
