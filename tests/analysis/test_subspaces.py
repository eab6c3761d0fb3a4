from __future__ import annotations

import numpy as np
import pytest
import torch

from mechsteer.analysis import lir_basis, lsar_basis, remove
from mechsteer.errors import MechsteerError


def split(seed: int, *, layers: int = 2, n: int = 30, d: int = 9) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(layers, n, d, generator=generator)
        + 3 * torch.randn(layers, 1, d, generator=generator)
        for name in ("deu_Latn", "spa_Latn", "vie_Latn", "zho_Hans")
    }


def lsar_as_published(means: np.ndarray, rank: int) -> np.ndarray:
    """Algorithm 1 of Xie et al. 2022, its orthogonality step included; ``means`` [d, language]."""
    common = means.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(means - common, full_matrices=False)
    low = common + (u[:, :rank] * s[:rank]) @ vt[:rank]
    mu = np.linalg.pinv(low.T) @ np.ones((means.shape[1], 1))
    mu /= (mu**2).sum()
    u = np.linalg.svd(low - mu, full_matrices=False)[0][:, :rank]
    assert np.abs(mu.T @ u).max() < 1e-9
    return u


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lsar_projects_as_the_published_algorithm_with_its_orthogonality_step(rank: int) -> None:
    dev = split(0)
    basis = lsar_basis(dev, rank)
    for layer in range(2):
        means = np.stack([x[layer].double().numpy().mean(0) for x in dev.values()], 1)
        u = lsar_as_published(means, rank)
        found = basis[layer].numpy()
        np.testing.assert_allclose(found @ found.T, u @ u.T, atol=1e-9)


def test_without_all_their_directions_language_means_are_equal() -> None:
    dev = split(1)
    means = torch.stack([x.mean(1) for x in remove(dev, lsar_basis(dev, 3)).values()])
    assert (means - means[0]).abs().max() < 1e-5
    assert torch.stack([x.mean(1) for x in dev.values()]).std(0).max() > 1


def test_lir_leaves_nothing_of_a_language_along_its_main_directions() -> None:
    dev = split(2)
    bases = lir_basis(dev, 2)
    left = remove(dev, bases)
    for name, x in left.items():
        for layer in range(2):
            u = np.linalg.svd(dev[name][layer].double().numpy().T)[0][:, :2]
            assert np.abs(x[layer].numpy() @ u).max() < 1e-5
            expected = dev[name][layer].double().numpy() @ (np.eye(9) - u @ u.T)
            np.testing.assert_allclose(x[layer].numpy(), expected, atol=1e-5)


def test_directions_are_fitted_on_dev_and_applied_to_test() -> None:
    dev, test = split(3), split(4)
    found = remove(test, lsar_basis(dev, 1))["spa_Latn"]
    basis = lsar_basis(dev, 1)
    expected = test["spa_Latn"].double() - test["spa_Latn"].double() @ basis @ basis.mT
    torch.testing.assert_close(found, expected.float())
    assert found.dtype == torch.float32


def test_one_subspace_serves_languages_it_was_not_fitted_on() -> None:
    dev = split(5)
    rest = {name: x for name, x in dev.items() if name != "zho_Hans"}
    assert set(remove(dev, lsar_basis(rest, 1))) == set(dev)
    with pytest.raises(MechsteerError, match="fitted for zho_Hans; fitted: deu_Latn, spa_Latn"):
        remove(dev, lir_basis(rest, 1))


@pytest.mark.parametrize(
    ("rank", "reason"), [(0, "from 1 to 4"), (5, "from 1 to 4"), (4, "lower the rank")]
)
def test_more_directions_than_means_differ_in_are_refused(rank: int, reason: str) -> None:
    with pytest.raises(MechsteerError, match=reason):
        lsar_basis(split(6), rank)


def test_sentences_that_span_too_few_directions_are_refused() -> None:
    dev = split(7)
    dev["vie_Latn"] = dev["vie_Latn"][:, :1].expand(-1, 30, -1)
    with pytest.raises(MechsteerError, match="vie_Latn: expected 2 directions"):
        lir_basis(dev, 2)


def test_directions_of_other_layers_are_refused_rather_than_broadcast() -> None:
    with pytest.raises(MechsteerError, match="does not fit embeddings"):
        remove(split(8, layers=3), lsar_basis(split(8), 1))


def test_a_bad_row_is_named_with_its_layer() -> None:
    dev = split(9)
    dev["spa_Latn"][1, 4, 0] = torch.nan
    for fit in (lir_basis, lsar_basis):
        with pytest.raises(MechsteerError, match="spa_Latn: NaN or infinity in layer 1, row 4"):
            fit(dev, 1)
