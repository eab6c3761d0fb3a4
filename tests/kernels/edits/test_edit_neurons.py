from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mechsteer.kernels import PreparedEdit, edit_neurons

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
# Sentences, tokens, neurons, edited: one off a program on every axis, odd, single, all of them.
SHAPES = ((2, 4, 64, 8), (3, 3, 1025, 257), (1, 5, 123, 123), (1, 1, 1, 1))


def case(
    shape: tuple[int, int, int, int], dtype: torch.dtype, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Activations and an edit of them, in which every fourth neuron is clamped."""
    generator = torch.Generator().manual_seed(seed)
    batch, token, neuron, k = shape
    z = torch.randn(batch, token, neuron, generator=generator).to(dtype)
    index = torch.randperm(neuron, generator=generator)[:k]
    a, b = torch.randn(2, k, generator=generator)
    a[::4] = 0
    return z, index, a, b


def oracle(z: Tensor, index: Tensor, a: Tensor, b: Tensor) -> np.ndarray:
    """Every position edited, in numpy's float64."""
    out = z.double().numpy().copy()
    at = index.numpy()
    with np.errstate(invalid="ignore"):
        moved = a.double().numpy() * out[..., at] + b.double().numpy()
    out[..., at] = np.where(a.numpy() == 0, b.double().numpy(), moved)
    return out


def assert_edited(found: Tensor, expected: np.ndarray, a: Tensor, b: Tensor, z: Tensor) -> None:
    """Within one rounding of the dtype (of two, where the interpreter truncates bfloat16).

    In float32 the product and the sum each round once: relative to |a z| + |b|, two times 2^-24.
    The cast to 16 bits then errs by half an ulp of the result.
    """
    scale = float(a.abs().max()) * float(z.double().abs().max()) + float(b.abs().max())
    ulp = torch.finfo(found.dtype).eps * (2 if INTERPRETED else 1)
    error = np.abs(found.double().cpu().numpy() - expected)
    assert (error <= 2.0**-23 * scale + ulp / 2 * np.abs(expected) * 1.01).all()


@pytest.mark.parametrize("inplace", [False, True], ids=["new", "inplace"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_edits_equal_numpy_and_leave_the_rest_alone(shape, dtype, inplace, kernel_backend, device):
    z, index, a, b = case(shape, dtype)
    mine = z.clone().to(device)
    found = edit_neurons(mine, index, a, b, inplace=inplace, backend=kernel_backend)
    assert (found is mine) is inplace and found.dtype == dtype
    assert_edited(found, oracle(z, index, a, b), a, b, z)
    rest = torch.ones(shape[2], dtype=torch.bool)
    rest[index] = False
    assert torch.equal(found.cpu()[..., rest], z[..., rest])
    if not inplace:
        assert torch.equal(mine.cpu(), z)


@pytest.mark.parametrize("clamped", ["none", "some", "all"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_prepared_edit_rounds_once_in_float32_and_once_to_the_dtype(clamped, dtype, device):
    z, index, a, b = case((2, 4, 64, 9), dtype)
    a = {"none": a + (a == 0), "some": a, "all": 0 * a}[clamped]
    low, high, mask = -torch.ones(9), torch.ones(9), torch.arange(8).reshape(2, 4) % 3 > 0
    x = z[..., index].float()
    mapped = torch.where(a == 0, b, a * x + b)
    for options, moved in (
        ({}, torch.ones_like(x).bool()),
        ({"mask": mask}, mask[..., None]),
        ({"low": low, "high": high}, (x >= low) & (x <= high)),
        ({"low": low, "mask": mask}, (x >= low) & mask[..., None]),
    ):
        expected = z.clone()
        expected[..., index] = torch.where(moved, mapped, x).to(dtype)
        window = {name: value for name, value in options.items() if name != "mask"}
        prepared = PreparedEdit(index, a, b, **window).to(device)
        for _ in range(2):
            found = prepared.apply(z.to(device), mask=options.get("mask"), backend="cpu")
            assert torch.equal(found.cpu(), expected)


def test_a_clamp_replaces_infinity_and_nan_but_a_scale_does_not(kernel_backend, device):
    z = torch.tensor([[[torch.inf, torch.nan, torch.inf, torch.nan, -1.0]]], device=device)
    a, b = torch.tensor([0.0, -0.0, 2.0, 2.0]), torch.tensor([5.0, 6.0, 1.0, 1.0])
    found = edit_neurons(z, torch.arange(4), a, b, backend=kernel_backend)[0, 0].tolist()
    assert found[:3] == [5.0, 6.0, math.inf]
    assert math.isnan(found[3]) and found[4] == -1.0


@pytest.mark.parametrize("inplace", [False, True], ids=["new", "inplace"])
def test_positions_outside_the_mask_keep_their_bits(inplace, kernel_backend, device):
    z, index, a, b = case((3, 5, 70, 20), torch.bfloat16)
    z[0, 0, index[0]] = -0.0
    mask = torch.rand(3, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[0, 0] = False
    mine = z.clone().to(device)
    found = edit_neurons(mine, index, a, b, mask=mask, inplace=inplace, backend=kernel_backend)
    found = found.cpu()
    everywhere = edit_neurons(z.to(device), index, a, b, backend=kernel_backend).cpu()
    assert torch.equal(found[mask], everywhere[mask])
    assert torch.equal(found[~mask].view(torch.int16), z[~mask].view(torch.int16))


@pytest.mark.parametrize("inplace", [False, True], ids=["new", "inplace"])
def test_a_window_maps_only_incoming_values_inside_it_bounds_included(
    inplace, kernel_backend, device
):
    z = torch.tensor([-2.0, -1.0, 0.5, 1.0, 1.5, torch.nan])[None, :, None].repeat(1, 1, 2)
    edit = (torch.tensor([1]), torch.tensor([0.0]), torch.tensor([9.0]))
    bounds = {"low": torch.tensor([-1.0]), "high": torch.tensor([1.0])}
    for chosen, expected in (
        (("low", "high"), [-2, 9, 9, 9, 1.5, torch.nan]),
        (("low",), [-2, 9, 9, 9, 9, torch.nan]),
        (("high",), [9, 9, 9, 9, 1.5, torch.nan]),
    ):
        window = {name: bounds[name] for name in chosen}
        found = edit_neurons(
            z.clone().to(device), *edit, **window, inplace=inplace, backend=kernel_backend
        ).cpu()
        np.testing.assert_array_equal(found[0, :, 1], expected)
        np.testing.assert_array_equal(found[0, :, 0], z[0, :, 0])


def test_mask_and_window_hold_together(kernel_backend, device):
    z = torch.tensor([[[1.0], [5.0]], [[1.0], [5.0]]], device=device)
    mask = torch.tensor([[True, True], [False, False]])
    one = torch.ones(1)
    found = edit_neurons(
        z, torch.tensor([0]), one, one, low=2 * one, mask=mask, backend=kernel_backend
    )
    assert found.flatten().tolist() == [1.0, 6.0, 1.0, 5.0]


@pytest.mark.parametrize("inplace", [False, True], ids=["new", "inplace"])
def test_strides_do_not_matter(inplace, kernel_backend, device):
    z, index, a, b = case((2, 3, 10, 4), torch.float32)
    expected = edit_neurons(z.to(device), index, a, b, backend=kernel_backend)
    for layout in (z.permute(2, 1, 0).contiguous().permute(2, 1, 0), z.repeat(1, 1, 2)[..., :10]):
        strided = layout.clone().to(device) if layout.is_contiguous() else layout.to(device)
        found = edit_neurons(strided, index, a, b, inplace=inplace, backend=kernel_backend)
        assert torch.equal(found, expected)


def test_an_expanded_tensor_is_edited_out_of_place_only(kernel_backend, device):
    z, index, a, b = case((1, 3, 10, 4), torch.float32)
    wide = z.to(device).expand(4, -1, -1)
    found = edit_neurons(wide, index, a, b, backend=kernel_backend)
    single = edit_neurons(z.to(device), index, a, b, backend=kernel_backend)
    assert torch.equal(found, single.expand(4, -1, -1))
    with pytest.raises(ValueError, match="edit it out of place"):
        edit_neurons(wide, index, a, b, inplace=True, backend=kernel_backend)


@pytest.mark.parametrize("inplace", [False, True], ids=["new", "inplace"])
def test_no_neurons_change_nothing(inplace, kernel_backend, device):
    z = torch.randn(2, 3, 4, device=device)
    none = torch.zeros(0)
    found = edit_neurons(
        z, none.long(), none, none, low=none, inplace=inplace, backend=kernel_backend
    )
    assert torch.equal(found, z) and (found is z) is inplace


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)], ids=str)
def test_no_positions_give_an_empty_result(shape, kernel_backend, device):
    z = torch.zeros(shape, device=device)
    found = edit_neurons(z, torch.arange(2), torch.ones(2), torch.ones(2), backend=kernel_backend)
    assert found.shape == shape


def test_rows_past_two_billion_elements_are_addressed(kernel_backend, device):
    lazy = torch.empty(2**31 + 64, dtype=torch.bfloat16, device=device)  # only its ends are touched
    z = lazy.as_strided((2, 1, 8), (2**31, 8, 1))
    z.copy_(torch.arange(16).reshape(2, 1, 8))
    one = torch.ones(1)
    edit_neurons(z, torch.tensor([7]), one, one, inplace=True, backend=kernel_backend)
    assert z[:, 0, 7].tolist() == [8.0, 16.0] and z[:, 0, 6].tolist() == [6.0, 14.0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.data())
def test_an_edit_and_its_inverse_restore_powers_of_two(seed, width, data):
    k = data.draw(st.integers(0, width))
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(2, 2, width, generator=generator)
    index = torch.randperm(width, generator=generator)[:k]
    a = 2.0 ** torch.randint(-3, 4, (k,), generator=generator)  # exact factors, no offset
    zero = torch.zeros(k)
    assert torch.equal(edit_neurons(edit_neurons(z, index, a, zero), index, 1 / a, zero), z)


def test_order_of_the_neurons_does_not_matter():
    z, index, a, b = case((2, 3, 50, 30), torch.float16)
    order = index.argsort()
    assert torch.equal(
        edit_neurons(z, index, a, b), edit_neurons(z, index[order], a[order], b[order])
    )


def test_gradients_pass_an_edit_out_of_place():
    z = torch.tensor([[[1.0, torch.inf, 3.0]]], requires_grad=True)
    out = edit_neurons(z, torch.tensor([0, 1]), torch.tensor([5.0, 0.0]), torch.ones(2))
    out.sum().backward()
    assert z.grad is not None and z.grad.flatten().tolist() == [5.0, 0.0, 1.0]


def test_a_gradient_that_cannot_pass_is_refused(kernel_backend, device):
    z = torch.ones(1, 1, 2, device=device, requires_grad=True)
    edit = (torch.tensor([0]), torch.ones(1), torch.ones(1))
    with pytest.raises(ValueError, match=r"torch.no_grad\(\)"):
        edit_neurons(z, *edit, inplace=True, backend=kernel_backend)
    if kernel_backend == "triton":
        with pytest.raises(ValueError, match="backend='auto'"):
            edit_neurons(z, *edit, backend=kernel_backend)
    with torch.no_grad():
        assert edit_neurons(z, *edit, backend=kernel_backend).flatten().tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": torch.tensor([1, 1])}, "distinct neurons, got 1 twice"),
        ({"index": torch.tensor([0, 3])}, r"in 0\.\.2 \(z has 3 neurons\), got 0\.\.3"),
        ({"index": torch.tensor([-1, 0])}, r"got -1\.\.0"),
        ({"index": torch.tensor([0, 1]).int()}, "of int64, got .* torch.int32"),
        ({"a": torch.ones(3)}, r"a must be \[2\] of float32"),
        ({"b": torch.ones(2).double()}, "b must be .* torch.float64"),
        ({"a": torch.tensor([1.0, torch.nan])}, "a must be finite, got nan for entry 1"),
        ({"b": torch.tensor([torch.inf, 1.0])}, "b must be finite, got inf for entry 0"),
        ({"low": torch.ones(1)}, "low must be"),
        ({"mask": torch.ones(2, 2)}, "mask must be bool"),
        ({"mask": torch.ones(2, 1, dtype=torch.bool)}, r"shape \[2, 2\]"),
        ({"z": torch.ones(2, 3)}, r"z must be \[batch, token, neuron\]"),
        ({"z": torch.ones(2, 2, 3).long()}, "bfloat16, float16 or float32"),
        ({"backend": "cuda"}, "backend must be one of"),
    ],
)
def test_a_bad_input_is_refused_with_what_was_expected(change, message):
    two = torch.ones(2)
    good = {"z": torch.ones(2, 2, 3), "index": torch.tensor([0, 1]), "a": two, "b": two}
    with pytest.raises(ValueError, match=message):
        edit_neurons(**(good | change))
