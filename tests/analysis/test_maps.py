from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group
from sklearn.linear_model import Ridge
from torch import Tensor

from mechsteer import analysis
from mechsteer.analysis.maps import map_to, whitening
from mechsteer.errors import MechsteerError


def spaces(n: int = 60, d: int = 6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(n, d, generator=generator, dtype=torch.float64)
    turn = torch.from_numpy(ortho_group.rvs(d, random_state=2))
    return {
        "eng_Latn": base + 1,
        "fra_Latn": base @ turn + 0.05 * torch.randn(n, d, generator=generator) - 3,
    }


def test_a_rotation_is_found_and_equals_scipy() -> None:
    dev = spaces()
    maps = map_to(dev, target="eng_Latn")
    x, y = (dev[code] - dev[code].mean(0) for code in ("fra_Latn", "eng_Latn"))
    expected, _ = orthogonal_procrustes(x.numpy(), y.numpy())
    assert np.allclose(maps["fra_Latn"].W, expected, atol=1e-9)
    moved = {code: maps[code](x) for code, x in dev.items()}
    assert torch.allclose(moved["eng_Latn"], dev["eng_Latn"])
    before, after = (analysis.retrieval(e).top1[1, 0].double().mean() for e in (dev, moved))
    assert before < 0.2 and after == 1


def test_the_ridge_equals_scikit_learn() -> None:
    dev = spaces()
    found = map_to(dev, target="eng_Latn", how="ridge", ridge=0.5)["fra_Latn"]
    x = dev["fra_Latn"] - dev["fra_Latn"].mean(0)
    alpha = 0.5 * float((x**2).sum()) / 6
    model = Ridge(alpha=alpha).fit(dev["fra_Latn"].numpy(), dev["eng_Latn"].numpy())
    assert np.allclose(found(dev["fra_Latn"]), model.predict(dev["fra_Latn"].numpy()), atol=1e-9)


@pytest.mark.parametrize("n", [60, 2])
def test_whitening_leaves_the_identity_on_what_is_spanned(n: int) -> None:
    dev = spaces(n)
    white = torch.cat([whitening(dev)(x) for x in dev.values()])
    values = torch.linalg.eigvalsh(torch.cov(white.T, correction=0))
    expected = torch.zeros(6, dtype=torch.float64)
    expected[6 - min(6, 2 * n - 1) :] = 1
    assert torch.allclose(values, expected, atol=1e-9)
    assert torch.allclose(white.mean(0), torch.zeros(6, dtype=torch.float64), atol=1e-9)


def test_every_layer_has_its_own_map_and_dtypes_are_kept() -> None:
    dev = spaces()
    deep = {code: torch.stack((x, x.flip(1))).float() for code, x in dev.items()}
    for fit in (lambda e: map_to(e, target="eng_Latn")["fra_Latn"], whitening):
        layered, single = fit(deep)(deep["fra_Latn"]), fit(dev)(dev["fra_Latn"])
        assert layered.dtype == torch.float32
        assert torch.allclose(layered[0].double(), single, atol=1e-4)


def test_what_cannot_be_fitted_is_refused() -> None:
    dev = spaces()
    with pytest.raises(MechsteerError, match="target among"):
        map_to(dev, target="deu_Latn")
    with pytest.raises(MechsteerError, match="ridge > 0"):
        map_to(dev, target="eng_Latn", how="ridge", ridge=0.0)
    with pytest.raises(MechsteerError, match="all sentences are alike"):
        map_to(dev | {"fra_Latn": torch.full((60, 6), 0.1)}, target="eng_Latn")
    with pytest.raises(MechsteerError, match="parallel"):
        map_to(dev | {"fra_Latn": dev["fra_Latn"][:50]}, target="eng_Latn")
    with pytest.raises(MechsteerError, match="does not fit"):
        whitening(dev)(torch.randn(3, 5))
