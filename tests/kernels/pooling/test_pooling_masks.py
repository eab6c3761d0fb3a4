from __future__ import annotations

import pytest
import torch

from mechsteer.kernels import POOLINGS, pool_tokens


def reference(z: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    rows = [tokens[real] for tokens, real in zip(z, mask, strict=True)]
    if how == "max":
        return torch.stack([row.max(0).values for row in rows])
    if how == "mean":
        return torch.stack([row.double().mean(0) for row in rows])
    return torch.stack([row[-1] for row in rows])


def masks() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    ragged = torch.arange(9)[None] < torch.tensor([9, 4, 5, 7])[:, None]
    with_first = ragged.clone()
    with_first[:, 0] = False
    holes = torch.rand(4, 9, generator=generator) < 0.5
    holes[:, 3] = True
    apart = torch.zeros(4, 9, dtype=torch.bool)
    apart[torch.arange(4), torch.tensor([0, 8, 3, 4])] = True
    return {
        "all real": torch.ones(4, 9, dtype=torch.bool),
        "padded": ragged,
        "padded after a special token": with_first,
        "with holes": holes,
        "no column in common": apart,
        "one token": torch.ones(4, 1, dtype=torch.bool),
    }


@pytest.mark.parametrize("how", POOLINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", masks())
def test_pooling_is_that_of_the_real_tokens_alone(name: str, dtype: torch.dtype, how: str) -> None:
    mask = masks()[name]
    z = torch.randn(*mask.shape, 5, generator=torch.Generator().manual_seed(1)).to(dtype)
    z[~mask] = torch.nan  # what stands elsewhere must not matter
    pooled = pool_tokens(z, mask, how=how, backend="cpu")
    if how == "mean":
        assert pooled.dtype == torch.float32
        # at most 9 float32 additions of values below 4: 9 · 4 · 2^-24 < 3e-6
        torch.testing.assert_close(pooled.double(), reference(z, mask, how), rtol=0, atol=3e-6)
    else:
        assert torch.equal(pooled, reference(z, mask, how))
        assert pooled.dtype == dtype


@pytest.mark.parametrize("how", POOLINGS)
def test_pooling_never_writes_to_the_activation(how: str) -> None:
    z = torch.randn(4, 9, 5)
    before = z.clone()
    pool_tokens(z, masks()["padded"], how=how)
    assert torch.equal(z, before)


def test_a_maximum_below_zero_is_not_lifted_by_padding() -> None:
    z = torch.tensor([[[-3.0], [-2.0]], [[-5.0], [0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    assert pool_tokens(z, mask, how="max", backend="cpu").flatten().tolist() == [-2.0, -5.0]
