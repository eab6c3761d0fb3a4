"""Edits in Triton: one program copies a few rows and maps their edited columns."""

from __future__ import annotations

from itertools import product

from torch import Tensor

from ..common.triton_launch import Launch, jit, tl
from .coefficients import Coefficients

__all__ = ["LAUNCHES", "edit"]


@jit
def _edit_kernel(  # noqa: PLR0917
    z_ptr: tl.tensor,
    out_ptr: tl.tensor,
    index_ptr: tl.tensor,
    a_ptr: tl.tensor,
    b_ptr: tl.tensor,
    low_ptr: tl.tensor,
    high_ptr: tl.tensor,
    mask_ptr: tl.tensor,
    n_row: tl.tensor,
    n_token: tl.tensor,
    n_neuron: tl.tensor,
    n_edit: tl.tensor,
    stride_zb: tl.tensor,
    stride_zt: tl.tensor,
    stride_zn: tl.tensor,
    stride_ob: tl.tensor,
    stride_ot: tl.tensor,
    stride_on: tl.tensor,
    COPY: tl.constexpr,
    BOUNDED: tl.constexpr,
    MASKED: tl.constexpr,
    ROWS: tl.constexpr,
    NEURON: tl.constexpr,
    EDIT: tl.constexpr,
) -> None:
    """ROWS positions share one reading of the coefficients."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    batch = (row // n_token).to(tl.int64)
    token = (row % n_token).to(tl.int64)
    inside = row < n_row
    z_row = (z_ptr + batch * stride_zb + token * stride_zt)[:, None]
    out_row = (out_ptr + batch * stride_ob + token * stride_ot)[:, None]
    if COPY:
        for start in range(0, n_neuron, NEURON):
            n = (start + tl.arange(0, NEURON).to(tl.int64))[None, :]
            here = inside[:, None] & (n < n_neuron)
            tl.store(out_row + n * stride_on, tl.load(z_row + n * stride_zn, mask=here), mask=here)
        tl.debug_barrier()  # the copy of an edited column must not land after its edit
    if MASKED:
        inside = tl.load(mask_ptr + row, mask=inside, other=0) != 0
    for start in range(0, n_edit, EDIT):
        k = start + tl.arange(0, EDIT)
        index = tl.load(index_ptr + k, mask=k < n_edit, other=0)[None, :]
        a = tl.load(a_ptr + k, mask=k < n_edit, other=0.0)[None, :]
        b = tl.load(b_ptr + k, mask=k < n_edit, other=0.0)[None, :]
        keep = inside[:, None] & (k < n_edit)[None, :]
        x = tl.load(z_row + index * stride_zn, mask=keep, other=0.0).to(tl.float32)
        y = tl.where(a == 0.0, b, a * x + b).to(out_ptr.dtype.element_ty)
        if BOUNDED:
            low = tl.load(low_ptr + k, mask=k < n_edit, other=0.0)[None, :]
            high = tl.load(high_ptr + k, mask=k < n_edit, other=0.0)[None, :]
            keep = keep & (x >= low) & (x <= high)
        tl.store(out_row + index * stride_on, y, mask=keep)


_TILE = {"ROWS": 4, "NEURON": 1024, "EDIT": 256}
LAUNCHES = {
    flags: Launch(
        kernel=_edit_kernel,
        pointers={
            "z_ptr": "*x",
            "out_ptr": "*x",
            "index_ptr": "*i64",
            "a_ptr": "*fp32",
            "b_ptr": "*fp32",
            "low_ptr": "*fp32",
            "high_ptr": "*fp32",
            "mask_ptr": "*i1",
        },
        constants=dict(zip(("COPY", "BOUNDED", "MASKED"), flags, strict=True)) | _TILE,
        unit=("stride_zn", "stride_on"),
    )
    for flags in product((False, True), repeat=3)
}


def edit(z: Tensor, out: Tensor, coefficients: Coefficients, mask: Tensor | None) -> Tensor:
    """Write the edited ``z`` to ``out``, which may be ``z`` itself, and return it."""
    optional = (*(coefficients.bounds or (None, None)), mask)
    index, a, b = coefficients.index, coefficients.a, coefficients.b
    rows = z.shape[0] * z.shape[1]
    LAUNCHES[out is not z, coefficients.bounds is not None, mask is not None].run(
        (-(-rows // _TILE["ROWS"]),),
        *(z, out, index.contiguous(), a.contiguous(), b.contiguous()),
        *(z if t is None else t.contiguous() for t in optional),  # absent ones are never touched
        *(rows, z.shape[1], z.shape[2], len(index)),
        *(*z.stride(), *out.stride()),
    )
    return out
