"""The module of sentence-transformers: what it embeds, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.exports import sentence_transformer
from mechsteer.exports.encoder import SteeredEncoder
from mechsteer.interventions import Edit
from mechsteer.steering.embedding import embed_steered
from tests.exports.by_hand import clamped

Steered = tuple[Any, list[Edit], Path]


@pytest.fixture(scope="module")
def steered(
    bridge: Callable[..., Any], corpus: LabelledCorpus, tmp_path_factory: pytest.TempPathFactory
) -> Steered:
    """A clamped and centred encoder, and its folder."""
    model = bridge("xlmr_model")
    centred = ms.centring(model, ms.embed(model, corpus, progress=False), layers=-1)
    folder = tmp_path_factory.mktemp("encoder") / "st"
    edits: list[Edit] = [clamped(model), centred]
    return model, edits, sentence_transformer(model, edits, folder)


def encode(folder: Path, texts: Sequence[str], **options: Any) -> Tensor:
    """What sentence-transformers does with a module."""
    module = SteeredEncoder.load(str(folder))
    out: Tensor = module(module.preprocess(texts), **options)["sentence_embedding"]
    return out


def test_encode_gives_the_embedding_of_the_steered_and_centred_model(
    steered: Steered, corpus: LabelledCorpus
) -> None:
    model, edits, folder = steered
    wanted = embed_steered(model, corpus, *edits, progress=False)["fra_Latn"][-1]
    found = encode(folder, corpus.sentences["fra_Latn"], language="fra_Latn")
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert abs(float(found.mean(0).norm() / found.norm(dim=1).mean())) < 1


def test_saved_again_it_is_the_same(steered: Steered, tmp_path: Path) -> None:
    texts, said = ["the cat", "the dog sat by the door"], {"language": "eng_Latn"}
    SteeredEncoder.load(str(steered[2])).save(str(tmp_path / "again"))
    assert torch.equal(encode(tmp_path / "again", texts, **said), encode(steered[2], texts, **said))


def test_a_prompt_is_read_and_not_pooled(steered: Steered, corpus: LabelledCorpus) -> None:
    model, edits, folder = steered
    module = SteeredEncoder.load(str(folder))
    texts = {"eng_Latn": list(corpus.sentences["eng_Latn"])}
    features = module.preprocess(texts["eng_Latn"], prompt="query: ")
    found = module(features, language="eng_Latn")["sentence_embedding"]
    wanted = embed_steered(model, texts, *edits, prefix="query: ", progress=False)["eng_Latn"][-1]
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_an_edit_of_a_language_asks_for_it(steered: Steered) -> None:
    with pytest.raises(MechsteerError, match=r"encode\(texts, language='eng_Latn'\)"):
        encode(steered[2], ["the cat"])
    with pytest.raises(MechsteerError, match="one language for all"):
        encode(steered[2], ["the cat"], language=["eng_Latn"])
    with pytest.raises(MechsteerError, match="was fitted for"):
        encode(steered[2], ["the cat"], language="deu_Latn")


def test_sentence_transformers_finds_the_module_by_its_table(steered: Steered) -> None:
    (module,) = json.loads((steered[2] / "modules.json").read_text())
    assert module["type"] == f"{SteeredEncoder.__module__}.SteeredEncoder"
    assert module["kwargs"] == ["language"] and module["path"] == ""


def test_rows_and_folders_that_are_none_are_refused(steered: Steered, tmp_path: Path) -> None:
    model, edits, _ = steered
    with pytest.raises(MechsteerError, match="expected a layer from -5 to 4"):
        sentence_transformer(model, edits, tmp_path / "st", layer=5)
    with pytest.raises(ArtifactError, match=r"no mechsteer\.json"):
        SteeredEncoder.load(str(tmp_path))
    (tmp_path / "mechsteer.json").write_text('{"layer": "x"}')
    with pytest.raises(ArtifactError, match=r"mechsteer\.json lacks"):
        SteeredEncoder.load(str(tmp_path))
