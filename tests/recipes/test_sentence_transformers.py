"""sentence-transformers itself on a steered and centred encoder, saved and loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.corpus import LabelledCorpus
from mechsteer.exports import checkpoint, sentence_transformer
from mechsteer.steering.embedding import embed_steered
from tests.exports.by_hand import clamped, shifted

library = pytest.importorskip("sentence_transformers", reason="make recipes installs it")


def test_encode_has_the_edit_inside(
    bridge: Callable[..., Any], corpus: LabelledCorpus, tmp_path: Path
) -> None:
    model = bridge("xlmr_model")
    centred = ms.centring(model, ms.embed(model, corpus, progress=False), layers=-1)
    edits = [clamped(model), centred]
    folder = sentence_transformer(model, edits, tmp_path / "st")
    opened = library.SentenceTransformer(str(folder), trust_remote_code=True, device="cpu")
    texts = list(corpus.sentences["fra_Latn"])
    wanted = embed_steered(model, corpus, *edits, progress=False)["fra_Latn"][-1]
    found = opened.encode(texts, language="fra_Latn", convert_to_tensor=True)
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)
    opened.save(str(tmp_path / "again"))
    again = library.SentenceTransformer(
        str(tmp_path / "again"), trust_remote_code=True, device="cpu"
    )
    found_again = again.encode(texts, language="fra_Latn", convert_to_tensor=True)
    assert torch.equal(found_again, found)


def test_a_baked_checkpoint_needs_no_code_of_ours(
    bridge: Callable[..., Any], tmp_path: Path
) -> None:
    model = bridge("xlmr_model")
    edits, texts = [clamped(model), shifted(model)], ["le chat", "un plus grand chat noir"]
    made = checkpoint(model, edits, tmp_path / "baked")
    opened = library.SentenceTransformer(str(made.folder), device="cpu")
    found = opened.encode(texts, convert_to_tensor=True)
    inputs = model.plain_tokenizer(texts, return_tensors="pt", padding=True)
    with ms.steer(model, *edits), torch.inference_mode():
        hidden = model.original_model(**inputs)[0]
    real = inputs["attention_mask"][..., None]
    wanted = (hidden * real).sum(1) / real.sum(1)  # its pooling counts special tokens
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)
