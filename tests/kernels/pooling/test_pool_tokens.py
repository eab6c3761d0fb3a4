from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mechsteer.kernels import pool_tokens

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
HOWS = ("max", "mean", "last")
# Sentences, tokens, neurons: aligned, one off on every axis, odd, single.
SHAPES = ((16, 4, 64), (17, 5, 65), (5, 13, 23), (1, 1, 1))


def batch(shape: tuple[int, int, int], dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Activations and a mask with holes, at least one real token in each row."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(shape, generator=generator).to(dtype)
    mask = torch.rand(shape[:2], generator=generator) < 0.6
    mask[torch.arange(shape[0]), torch.randint(shape[1], shape[:1], generator=generator)] = True
    return z, mask


def oracle(z: Tensor, mask: Tensor, how: str) -> np.ndarray:
    """One sentence at a time, in numpy's float64."""
    rows = [row[real] for row, real in zip(z.double().cpu().numpy(), mask.numpy(), strict=True)]
    pool = {"max": lambda x: x.max(0), "mean": lambda x: x.mean(0), "last": lambda x: x[-1]}[how]
    return np.stack([pool(row) for row in rows])


def assert_pooled(found: Tensor, z: Tensor, mask: Tensor, how: str) -> None:
    expected = oracle(z, mask, how)
    if how != "mean":
        np.testing.assert_array_equal(found.double().cpu().numpy(), expected)
        return
    # Summing T float32 values errs by at most T roundings of the largest partial sum, so the mean
    # by T times half an ulp of the mean magnitude: bounded by T * 2^-24 * max|z|, T <= 13.
    limit = z.shape[1] * 2.0**-24 * float(z.abs().max())
    np.testing.assert_allclose(found.double().cpu().numpy(), expected, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_pooling_equals_numpy(shape, dtype, kernel_backend, device):
    z, mask = batch(shape, dtype)
    for how, pooled in zip(
        HOWS, pool_tokens(z.to(device), mask, how=HOWS, backend=kernel_backend), strict=True
    ):
        assert pooled.dtype == (torch.float32 if how == "mean" else dtype)
        assert_pooled(pooled, z, mask, how)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("tokens", [1, 2, 64, 65])
def test_the_mean_of_finite_activations_is_finite_however_large(
    tokens, dtype, kernel_backend, device
):
    z = batch((3, tokens, 5), dtype)[0].sign() * torch.finfo(dtype).max
    z[1] = z[1].abs()
    mask = torch.ones(3, tokens, dtype=torch.bool)
    z[2] = 1e-3 * torch.arange(tokens)[:, None]  # what is small beside it keeps its digits
    found = pool_tokens(z.to(device), mask, how="mean", backend=kernel_backend).double().cpu()
    np.testing.assert_allclose(found[:2] / 3e38, oracle(z, mask, "mean")[:2] / 3e38, atol=1e-5)
    np.testing.assert_allclose(found[2], oracle(z, mask, "mean")[2], rtol=1e-6)


@pytest.mark.parametrize(
    "how", [*HOWS, ("last", "max"), ("mean", "last"), ("mean", "max")], ids=str
)
def test_each_choice_of_poolings_is_returned_in_its_order(how, kernel_backend, device):
    z, mask = batch((17, 6, 70), torch.bfloat16)
    pooled = pool_tokens(z.to(device), mask, how=how, backend=kernel_backend)
    hows, tensors = ((how,), (pooled,)) if isinstance(how, str) else (how, pooled)
    for name, tensor in zip(hows, tensors, strict=True):
        assert_pooled(tensor, z, mask, name)


def test_the_result_is_a_view_of_neuron_major_memory(kernel_backend, device):
    z, mask = batch((3, 4, 5), torch.float32)
    assert pool_tokens(z.to(device), mask, backend=kernel_backend).T.is_contiguous()


def test_out_fills_its_window_and_nothing_else(kernel_backend, device):
    z, mask = batch((7, 5, 66), torch.float16)
    buffer = torch.full((66, 20), 7.0, dtype=torch.float16, device=device)
    pooled = pool_tokens(z.to(device), mask, out=buffer[:, 6:13], backend=kernel_backend)
    assert pooled.data_ptr() == buffer[:, 6:13].data_ptr()
    assert_pooled(buffer[:, 6:13].T, z, mask, "max")
    assert (buffer[:, :6] == 7).all() and (buffer[:, 13:] == 7).all()


@pytest.mark.parametrize("layout", ["neuron-major", "every second", "one sentence, repeated"])
def test_strides_of_the_input_do_not_matter(layout, kernel_backend, device):
    z, mask = batch((3, 4, 9), torch.bfloat16)
    z = {
        "neuron-major": z.permute(2, 0, 1).contiguous().permute(1, 2, 0),
        "every second": z.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, ::2, ::2],
        "one sentence, repeated": z[:1].expand(3, -1, -1),
    }[layout].to(device)
    assert not z.is_contiguous()
    found = pool_tokens(z, mask, how=HOWS, backend=kernel_backend)
    for how, pooled in zip(HOWS, found, strict=True):
        assert_pooled(pooled, z.contiguous(), mask, how)


def test_padding_never_enters_whatever_it_holds(kernel_backend, device):
    z, mask = batch((6, 5, 40), torch.float32)
    clean = pool_tokens(z.to(device), mask, how=HOWS, backend=kernel_backend)
    z[~mask] = torch.nan
    dirty = pool_tokens(z.to(device), mask, how=HOWS, backend=kernel_backend)
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))


def test_nan_at_a_real_token_poisons_its_neuron_alone(kernel_backend, device):
    z, _ = batch((2, 4, 3), torch.float32)
    z[1, 0, 2] = torch.nan
    mask = torch.ones(2, 4, dtype=torch.bool)
    peak, mean, last = pool_tokens(z.to(device), mask, how=HOWS, backend=kernel_backend)
    expected = torch.zeros(2, 3, dtype=torch.bool, device=device)
    expected[1, 2] = True
    assert torch.equal(peak.isnan(), expected) and torch.equal(mean.isnan(), expected)
    assert last.isfinite().all()


def test_infinities_survive(kernel_backend, device):
    z = torch.tensor([[[-torch.inf, torch.inf]], [[1.0, -torch.inf]]])
    mask = torch.ones(2, 1, dtype=torch.bool)
    assert torch.equal(pool_tokens(z.to(device), mask, backend=kernel_backend).cpu(), z[:, 0])


def test_the_mean_of_many_half_precision_values_is_summed_in_float32(kernel_backend, device):
    z = torch.full((1, 70, 2), 2048.0, dtype=torch.float16)  # the sum overflows float16
    mask = torch.ones(1, 70, dtype=torch.bool)
    assert pool_tokens(z.to(device), mask, how="mean", backend=kernel_backend).unique() == 2048


@pytest.mark.parametrize("shape", [(0, 3, 4), (0, 0, 4), (2, 3, 0)], ids=str)
def test_nothing_to_pool_gives_an_empty_result(shape, kernel_backend, device):
    z, mask = torch.zeros(shape, device=device), torch.ones(shape[:2], dtype=torch.bool)
    assert pool_tokens(z, mask, backend=kernel_backend).shape == (shape[0], shape[2])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 9), st.integers(1, 20))
def test_tokens_after_the_last_real_one_can_be_cut_off(seed, n, t, d):
    z, mask = batch((n, t, d), torch.float32, seed)
    extra = torch.zeros(n, 3, dtype=torch.bool)
    longer = torch.cat([z, torch.full((n, 3, d), torch.nan)], 1)
    for how in HOWS:
        found = pool_tokens(longer, torch.cat([mask, extra], 1), how=how)
        assert torch.equal(found, pool_tokens(z, mask, how=how))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": torch.tensor([[True, True], [False, False]])}, "row 1 of mask has no real token"),
        ({"mask": torch.ones(2, 2)}, "mask must be bool"),
        ({"mask": torch.ones(2, 3, dtype=torch.bool)}, r"shape \[2, 2\]"),
        ({"z": torch.ones(2, 2)}, r"z must be \[batch, token, neuron\]"),
        ({"z": torch.ones(2, 2, 3, dtype=torch.float64)}, "bfloat16, float16 or float32"),
        ({"how": "median"}, "distinct names out of max, mean, last"),
        ({"how": ("max", "max")}, "distinct names"),
        ({"how": ()}, "distinct names"),
        ({"out": torch.ones(2, 3)}, r"must be \[neuron, batch\] \[3, 2\]"),
        ({"out": torch.ones(3, 2), "how": ("max", "mean")}, "one tensor for each"),
        ({"out": torch.ones(3, 2, dtype=torch.float16)}, "of torch.float32 on cpu"),
        ({"backend": "numba"}, "backend must be one of"),
    ],
)
def test_a_bad_input_is_refused_with_what_was_expected(change, message):
    good = {"z": torch.ones(2, 2, 3), "mask": torch.ones(2, 2, dtype=torch.bool)}
    with pytest.raises(ValueError, match=message):
        pool_tokens(**(good | change))


def test_rows_past_two_billion_elements_are_addressed(kernel_backend, device):
    lazy = torch.empty(2**31 + 64, dtype=torch.bfloat16, device=device)  # only its ends are touched
    z = lazy.as_strided((2, 2, 8), (2**31, 8, 1))
    z.copy_(torch.arange(32).reshape(2, 2, 8))
    mask = torch.ones(2, 2, dtype=torch.bool)
    assert torch.equal(pool_tokens(z, mask, backend=kernel_backend), z[:, 1])
