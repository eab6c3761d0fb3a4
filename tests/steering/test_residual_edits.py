"""What a residual edit makes of a running model, against PyTorch's own hooks and plain algebra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import mechsteer as ms
from mechsteer.analysis import centre, language_means, lir_basis, lsar_basis, remove
from mechsteer.errors import MechsteerError
from mechsteer.interventions import ResidualEdit, linear_map, recover, remove_subspace
from mechsteer.model.load import load_model
from mechsteer.model.sites import residual_points
from mechsteer.steering import embed_steered
from tests.steering.conftest import FAMILIES, plain_hooks

LANGUAGES = ("fra_Latn", "jpn_Jpan", "deu_Latn")
TEXTS = ["The king gave the shepherd a ring.", "Le train est parti à l'aube.", "Ja."]


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def corpus() -> Any:
    return ms.ParallelCorpus.embedded("dev", languages=LANGUAGES).head(12)


@pytest.fixture(scope="module")
def dev(model: Any, corpus: Any) -> dict[str, Tensor]:
    return ms.embed(model, corpus, progress=False)


@pytest.fixture(scope="module")
def inputs(model: Any) -> dict[str, Tensor]:
    found = model.plain_tokenizer(TEXTS, return_tensors="pt", padding=True)
    return {"input": found["input_ids"], "attention_mask": found["attention_mask"]}


@torch.inference_mode()
def logits(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    return model(**inputs)


def edits(model: Any, dev: dict[str, Tensor], name: str) -> ResidualEdit:
    layers = (0, 2, 3, -1)
    return {
        "diffmean": lambda: ms.diffmean(model, dev, target="fra_Latn", layers=layers),
        "recover": lambda: recover(
            model, dev, target="fra_Latn", source="jpn_Jpan", layers=layers
        ).scaled(0.7),
        "linear_map": lambda: linear_map(
            model, dev, source="fra_Latn", target="deu_Latn", ridge=1.0, layers=layers
        ).scaled(0.5),
        "lsar": lambda: remove_subspace(model, dev, rank=2, how="lsar", layers=layers),
        "lir": lambda: remove_subspace(model, dev, rank=3, layers=layers).of("deu_Latn"),
        "centring": lambda: ms.centring(model, dev, layers=layers).of("jpn_Jpan"),
    }[name]()


def formula(edit: ResidualEdit, point: int) -> Callable[[Tensor], Tensor]:
    """``h + λ(W h + v)`` with a whole matrix W."""
    w = torch.zeros(edit.v.shape[-1], edit.v.shape[-1])
    if edit.left is not None:
        left = edit.left[0, point]
        w = left if edit.right is None else left @ edit.right[0, point].T

    def apply(h: Tensor) -> Tensor:
        out = h + edit.strength * (torch.einsum("ij,btj->bti", w, h) + edit.v[0, point])
        return (
            out / out.norm(dim=-1, keepdim=True) * h.norm(dim=-1, keepdim=True)
            if (edit.restore_norm)
            else out
        )

    return apply


@pytest.mark.parametrize("name", ["diffmean", "recover", "linear_map", "lsar", "lir", "centring"])
def test_a_constructed_edit_equals_plain_pytorch_hooks(
    model: Any, dev: dict[str, Tensor], inputs: dict[str, Tensor], name: str
) -> None:
    edit = edits(model, dev, name)
    hooks = {point.layer: formula(edit, number) for number, point in enumerate(edit.points)}
    real, before = inputs["attention_mask"].bool(), logits(model, inputs)
    with plain_hooks(model, hooks):
        expected = logits(model, inputs)[real]
    with ms.steer(model, edit):
        found = logits(model, inputs)[real]
    scale = expected.abs().max()
    assert (expected - before[real]).abs().max() > 1e-2 * scale
    assert (found - expected).abs().max() <= 1e-5 * scale
    assert torch.equal(logits(model, inputs), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edited_row_is_what_the_rest_of_the_model_reads(
    bridge: Callable[..., Any], family: str
) -> None:
    model = bridge(family)
    points = residual_points(model)
    ids = torch.tensor([[1, 20, 30, 40], [1, 50, 60, 70]])
    inputs = {"input": ids, "attention_mask": torch.ones_like(ids)}
    before = logits(model, inputs)
    shift = torch.randn(32, generator=torch.Generator().manual_seed(3))
    rows = [p for p in points if p.hook != "blocks.2.hook_out"]  # is the last block's own row
    for point in rows:
        edit = ResidualEdit("shift", (point,), shift[None, None])
        with plain_hooks(model, {point.layer: lambda h: h + shift}):
            expected = logits(model, inputs)
        with ms.steer(model, edit):
            found = logits(model, inputs)
        assert (expected - before).abs().max() > 1e-3
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max(), point


@pytest.mark.parametrize("family", ["bert", "xlmr"])
def test_a_point_that_stands_for_two_rows_is_edited_once(
    bridge: Callable[..., Any], family: str
) -> None:
    model = bridge(family)
    *_, block, final = residual_points(model)
    ids = torch.tensor([[1, 20, 30, 40], [1, 50, 60, 70]])
    inputs = {"input": ids, "attention_mask": torch.ones_like(ids)}
    with ms.steer(model, ResidualEdit("shift", (block,), torch.ones(1, 1, 32))):
        expected = logits(model, inputs)
    with ms.steer(model, ResidualEdit("shift", (block, final), torch.ones(1, 2, 32))):
        assert torch.equal(logits(model, inputs), expected)


def test_each_row_of_a_batch_is_edited_by_its_own_language(
    model: Any, dev: dict[str, Tensor], inputs: dict[str, Tensor]
) -> None:
    real = inputs["attention_mask"].bool()
    for edit in (
        ms.centring(model, dev, layers=(1, 3)),
        remove_subspace(model, dev, rank=2, layers=(1, 3)),
        recover(model, dev, target="jpn_Jpan", layers=(1, 3)),
    ):
        with ms.steer(model, edit, languages=LANGUAGES):
            together = logits(model, inputs)
        for row, language in enumerate(LANGUAGES):
            with ms.steer(model, edit, languages=language):
                alone = logits(model, inputs)
            torch.testing.assert_close(
                together[row][real[row]], alone[row][real[row]], rtol=0, atol=2e-5
            )
            other = (row + 1) % 3
            assert (together[other] - alone[other]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("languages", "reason"),
    [
        (None, r"depends on the language of each row: pass languages="),
        ("rus_Cyrl", "fitted for fra_Latn, jpn_Jpan, deu_Latn, not 'rus_Cyrl'"),
        (["fra_Latn", "rus_Cyrl", "fra_Latn"], "not 'rus_Cyrl'"),
    ],
)
def test_an_edit_must_be_told_a_language_it_was_fitted_for(
    model: Any, dev: dict[str, Tensor], languages: Any, reason: str
) -> None:
    with pytest.raises(MechsteerError, match=reason):
        ms.steer(model, ms.centring(model, dev, layers=2), languages=languages)


def test_a_batch_of_another_size_than_its_languages_is_refused(
    model: Any, dev: dict[str, Tensor], inputs: dict[str, Tensor]
) -> None:
    edit = ms.centring(model, dev, layers=2)
    with (
        ms.steer(model, edit, languages=["fra_Latn"]),
        pytest.raises(MechsteerError, match="a batch of 1 rows, one for each of languages, got 3"),
    ):
        logits(model, inputs)


def test_edits_without_a_language_leave_it_unread(
    model: Any, dev: dict[str, Tensor], inputs: dict[str, Tensor]
) -> None:
    edit = ms.diffmean(model, dev, target="fra_Latn", layers=2)
    with ms.steer(model, edit):
        expected = logits(model, inputs)
    with ms.steer(model, edit, languages=["xx"] * 3):
        assert torch.equal(logits(model, inputs), expected)


def test_restoring_the_norm_keeps_the_length_of_every_position(
    model: Any, dev: dict[str, Tensor], inputs: dict[str, Tensor]
) -> None:
    edit = recover(model, dev, target="fra_Latn", source="jpn_Jpan", layers=2)
    hook = edit.points[0].hook
    before = model.run_with_cache(**inputs, names_filter=hook)[1][hook].clone()
    with ms.steer(model, edit):
        after = model.run_with_cache(**inputs, names_filter=hook)[1][hook]
    with ms.steer(model, replace(edit, restore_norm=False)):
        free = model.run_with_cache(**inputs, names_filter=hook)[1][hook]
    torch.testing.assert_close(after.norm(dim=-1), before.norm(dim=-1), rtol=1e-5, atol=0)
    real = inputs["attention_mask"].bool()
    assert (free.norm(dim=-1) / before.norm(dim=-1) - 1)[real].abs().max() > 1e-2
    cosine = torch.nn.functional.cosine_similarity(free, after, dim=-1)
    assert cosine.min() > 1 - 1e-5


def test_a_position_that_becomes_zero_stays_zero(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    last = residual_points(model)[-1]
    eye = torch.eye(32)[None, None]
    edit = ResidualEdit("erase", (last,), torch.zeros(1, 1, 32), left=-eye, restore_norm=True)
    with ms.steer(model, edit):
        found = logits(model, {"input": torch.tensor([[1, 20, 30]])})
    assert not found.any()


def test_a_matrix_without_factors_is_the_map_itself(bridge: Callable[..., Any]) -> None:
    model = bridge("llama")
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 1, 1, 32, 5, generator=generator)
    v = torch.zeros(1, 1, 32)
    point = (residual_points(model)[2],)
    inputs = {"input": torch.tensor([[1, 20, 30]])}
    with ms.steer(model, ResidualEdit("map", point, v, left=left, right=right)):
        expected = logits(model, inputs)
    with ms.steer(model, ResidualEdit("map", point, v, left=left @ right.mT)):
        torch.testing.assert_close(logits(model, inputs), expected, rtol=1e-5, atol=1e-5)


def test_centring_as_an_edit_is_centring_of_embeddings(
    model: Any, corpus: Any, dev: dict[str, Tensor]
) -> None:
    edited = embed_steered(model, corpus, ms.centring(model, dev, layers=-1), progress=False)
    expected = centre(dev, language_means(dev))
    for language in LANGUAGES:
        # float32 means over tokens, of values of the size of the embeddings
        tolerance = 1e-5 * float(dev[language][-1].abs().max())
        torch.testing.assert_close(
            edited[language][-1], expected[language][-1], rtol=0, atol=tolerance
        )
        torch.testing.assert_close(
            edited[language][:-1],
            dev[language][:-1],
            rtol=0,
            atol=1e-5 * float(dev[language].abs().max()),
        )


@pytest.mark.parametrize("how", ["lir", "lsar"])
def test_removing_a_subspace_as_an_edit_is_removing_it_from_embeddings(
    model: Any, corpus: Any, dev: dict[str, Tensor], how: str
) -> None:
    edit = remove_subspace(model, dev, rank=2, how=how, layers=-1)
    edited = embed_steered(model, corpus, edit, progress=False)
    expected = remove(dev, (lir_basis if how == "lir" else lsar_basis)(dev, 2))
    for language in LANGUAGES:
        tolerance = 1e-5 * float(dev[language][-1].abs().max())
        torch.testing.assert_close(
            edited[language][-1], expected[language][-1], rtol=0, atol=tolerance
        )


def test_embedding_without_edits_is_plain_embedding(
    model: Any, corpus: Any, dev: dict[str, Tensor]
) -> None:
    for language, x in embed_steered(model, corpus, progress=False).items():
        torch.testing.assert_close(x, dev[language], rtol=0, atol=1e-5 * float(x.abs().max()))
