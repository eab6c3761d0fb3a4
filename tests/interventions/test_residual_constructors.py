"""Each constructor against its published formula, written out for one layer at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import Tensor

import mechsteer as ms
from mechsteer.errors import ArtifactError, MechsteerError, SiteError
from mechsteer.interventions import ResidualEdit, linear_map, recover, remove_subspace
from mechsteer.model.sites import residual_points

LAYERS = (1, 3, 4)
LANGUAGES = ("eng_Latn", "fra_Latn", "rus_Cyrl")


@pytest.fixture(scope="module")
def model(bridge: Callable[..., Any]) -> Any:
    return bridge("llama")


@pytest.fixture(scope="module")
def dev(random_embeddings: Callable[..., dict[str, Tensor]]) -> dict[str, Tensor]:
    return random_embeddings(5, 32)


def means(dev: dict[str, Tensor], layer: int) -> dict[str, np.ndarray]:
    return {name: x[layer].numpy().mean(0) for name, x in dev.items()}


def linear_part(edit: ResidualEdit, language: int, point: int) -> np.ndarray:
    assert edit.left is not None
    left = edit.left[language, point].double().numpy()
    return left if edit.right is None else left @ edit.right[language, point].double().numpy().T


def test_points_are_the_rows_asked_for(model: Any, dev: dict[str, Tensor]) -> None:
    edit = ms.centring(model, dev, layers=[3, 0, -1])
    assert [point.layer for point in edit.points] == [0, 3, 4]
    assert set(edit.points) < set(residual_points(model))
    assert edit.provenance["sentences"] == dict.fromkeys(LANGUAGES, 24)


@pytest.mark.parametrize("source", [None, "rus_Cyrl"])
@pytest.mark.parametrize("normalised", [False, True])
def test_diffmean(model: Any, dev: dict[str, Tensor], source: str | None, normalised: bool) -> None:
    edit = ms.diffmean(
        model, dev, target="fra_Latn", source=source, layers=LAYERS, normalised=normalised
    )
    assert edit.v.shape == (1, 3, 32)
    assert edit.left is None
    for point, layer in enumerate(LAYERS):
        mu = means(dev, layer)
        start = mu[source] if source else (mu["eng_Latn"] + mu["rus_Cyrl"]) / 2
        v = mu["fra_Latn"] - start
        expected = v / np.sqrt((v**2).sum()) if normalised else v
        np.testing.assert_allclose(edit.v[0, point].numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_recover(model: Any, dev: dict[str, Tensor], beta: float) -> None:
    own = recover(model, dev, target="fra_Latn", beta=beta, layers=LAYERS)
    one = recover(model, dev, target="fra_Latn", source="rus_Cyrl", beta=beta, layers=LAYERS)
    assert own.restore_norm
    assert own.languages == LANGUAGES
    assert one.languages == ()
    for point, layer in enumerate(LAYERS):
        mu = means(dev, layer)
        middle = sum(mu.values()) / 3
        vector = {name: mean - middle for name, mean in mu.items()}
        for row, language in enumerate(LANGUAGES):
            expected = vector["fra_Latn"] - beta * vector[language]
            np.testing.assert_allclose(own.v[row, point].numpy(), expected, rtol=1e-6, atol=1e-6)
        expected = vector["fra_Latn"] - beta * vector["rus_Cyrl"]
        np.testing.assert_allclose(one.v[0, point].numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sentences", [24, 90], ids=["fewer than d", "more than d"])
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_linear_map(
    model: Any,
    random_embeddings: Callable[..., dict[str, Tensor]],
    sentences: int,
    ridge: float,
) -> None:
    dev = random_embeddings(5, 32, n=sentences)
    edit = linear_map(model, dev, source="fra_Latn", target="eng_Latn", ridge=ridge, layers=LAYERS)
    assert not edit.v.any()
    for point, layer in enumerate(LAYERS):
        x, y = dev["fra_Latn"][layer].numpy(), dev["eng_Latn"][layer].numpy()
        if ridge:
            expected = np.linalg.solve(x.T @ x + ridge * np.eye(32), x.T @ y).T
        else:
            expected = np.linalg.lstsq(x, y, rcond=None)[0].T
        np.testing.assert_allclose(
            linear_part(edit, 0, point), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max()
        )


def test_the_unpenalised_map_fits_fewer_sentences_than_dimensions_exactly(
    model: Any, dev: dict[str, Tensor]
) -> None:
    edit = linear_map(model, dev, source="fra_Latn", target="eng_Latn", layers=2)
    x, y = dev["fra_Latn"][2].numpy(), dev["eng_Latn"][2].numpy()
    np.testing.assert_allclose(x @ linear_part(edit, 0, 0).T, y, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_lir(model: Any, dev: dict[str, Tensor], rank: int) -> None:
    edit = remove_subspace(model, dev, rank=rank, how="lir", layers=LAYERS)
    assert edit.languages == LANGUAGES
    for row, language in enumerate(LANGUAGES):
        for point, layer in enumerate(LAYERS):
            u = np.linalg.svd(dev[language][layer].numpy().T)[0][:, :rank]
            np.testing.assert_allclose(linear_part(edit, row, point), -u @ u.T, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2])
def test_lsar(model: Any, dev: dict[str, Tensor], rank: int) -> None:
    edit = remove_subspace(model, dev, rank=rank, how="lsar", layers=LAYERS)
    assert edit.languages == ()
    for point, layer in enumerate(LAYERS):
        m = np.stack(list(means(dev, layer).values()), axis=1)
        u = np.linalg.svd(m - m.mean(1, keepdims=True))[0][:, :rank]
        np.testing.assert_allclose(linear_part(edit, 0, point), -u @ u.T, atol=1e-6)


def test_centring(model: Any, dev: dict[str, Tensor]) -> None:
    edit = ms.centring(model, dev, layers=LAYERS)
    for row, language in enumerate(LANGUAGES):
        for point, layer in enumerate(LAYERS):
            expected = -means(dev, layer)[language]
            np.testing.assert_allclose(edit.v[row, point].numpy(), expected, rtol=1e-6, atol=1e-6)


REFUSED = [
    (lambda m, e: ms.diffmean(m, e, target="deu_Latn", layers=1), "no embeddings of deu_Latn"),
    (
        lambda m, e: ms.diffmean(m, e, target="fra_Latn", source="fra_Latn", layers=1),
        "another language beside",
    ),
    (
        lambda m, e: ms.diffmean(m, {"fra_Latn": e["fra_Latn"]}, target="fra_Latn", layers=1),
        "another language beside",
    ),
    (
        lambda m, e: ms.diffmean(
            m,
            {"fra_Latn": e["fra_Latn"], "eng_Latn": e["fra_Latn"]},
            target="fra_Latn",
            layers=1,
            normalised=True,
        ),
        "difference at every layer",
    ),
    (
        lambda m, e: recover(m, e, target="fra_Latn", source="xx", layers=1),
        "no embeddings of",
    ),
    (
        lambda m, e: linear_map(
            m,
            e | {"fra_Latn": e["fra_Latn"][:, 1:]},
            source="fra_Latn",
            target="eng_Latn",
            layers=1,
        ),
        "parallel sentences, got 23 in fra_Latn and 24 in eng_Latn",
    ),
    (
        lambda m, e: linear_map(m, e, source="fra_Latn", target="eng_Latn", ridge=-1.0, layers=1),
        "ridge of 0 or more",
    ),
    (
        lambda m, e: remove_subspace(m, e, rank=3, how="lsar", layers=1),
        "lower the rank",
    ),
    (lambda m, e: remove_subspace(m, e, rank=25, layers=1), "a rank from 1 to 24"),
    (lambda m, e: remove_subspace(m, e, rank=0, layers=1), "a rank from 1 to 24"),
    (
        lambda m, e: remove_subspace(m, e, rank=1, how="pca", layers=1),
        "'lir' or 'lsar'",
    ),
    (lambda m, e: ms.centring(m, e, layers=5), r"from 0 \(embedding\) to 4"),
    (lambda m, e: ms.centring(m, e, layers=[4, -1]), "distinct layers"),
    (lambda m, e: ms.centring(m, e, layers=[]), "distinct layers"),
    (
        lambda m, e: ms.centring(m, {n: x[:4] for n, x in e.items()}, layers=1),
        "5 layers and d = 32",
    ),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_cannot_be_fitted_is_refused(
    model: Any, dev: dict[str, Tensor], make: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(MechsteerError, match=reason):
        make(model, dev)


def test_the_edit_of_another_model_is_refused(
    model: Any, dev: dict[str, Tensor], bridge: Callable[..., Any]
) -> None:
    edit = ms.diffmean(model, dev, target="fra_Latn", layers=2)
    with pytest.raises(ArtifactError, match="other configuration"):
        ms.steer(bridge("gpt2"), edit)


def test_rows_another_model_does_not_have_are_refused(
    model: Any, dev: dict[str, Tensor], bridge: Callable[..., Any]
) -> None:
    from dataclasses import replace

    edit = replace(ms.diffmean(model, dev, target="fra_Latn", layers=-1), model=None)
    with pytest.raises(SiteError, match="another residual stream"):
        ms.steer(bridge("bert"), edit)  # has no final norm
