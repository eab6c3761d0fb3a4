from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mechsteer.interventions import NeuronEdit, ResidualEdit, compose
from mechsteer.kernels import edit_neurons
from mechsteer.model.sites import HookSite
from tests.made import SITE

N = SITE.n_neurons


def made(seed: int, index: list[int] | None = None, *, window: bool = False) -> NeuronEdit:
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(N, generator=random)[:12]
    chosen = drawn if index is None else torch.tensor(index, dtype=torch.int64)
    a, b, low, gap = torch.randn(4, len(chosen), generator=random)
    a[:3] = 0  # holds some neurons at a value
    ends = (low - 1, low + gap.abs()) if window else (None, None)
    told = {"constructor": f"made {seed}"}
    return NeuronEdit(f"made {seed}", SITE, chosen, a, b, *ends, provenance=told)


def applied(z: torch.Tensor, edits: tuple[NeuronEdit, ...]) -> torch.Tensor:
    for edit in edits:
        z = edit_neurons(z, edit.index, edit.a, edit.b, low=edit.low, high=edit.high)
    return z


Z = torch.randn(4, 5, N, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3, 4), (5, 5)])
def test_composed_edits_act_like_one_after_the_other(seeds: tuple[int, ...]) -> None:
    edits = tuple(map(made, seeds))
    (one,) = compose(*edits)
    assert set(one.index.tolist()) == {m for e in edits for m in e.index.tolist()}
    # some roundings in float32 of values below 100
    torch.testing.assert_close(applied(Z, (one,)), applied(Z, edits), rtol=1e-5, atol=1e-5)


def test_a_composed_clamp_is_exact_and_survives_infinity() -> None:
    first, hold = made(0, [1, 2, 3, 4, 5]), made(1, [5, 4])
    (one,) = compose(first, hold)
    z = torch.full((1, 1, N), torch.inf)
    assert torch.equal(applied(z, (one,)), applied(z, (first, hold)))


@pytest.mark.parametrize("seed", range(4))
def test_edits_with_windows_stay_in_order(seed: int) -> None:
    plain, window = made(seed), made(seed + 10, window=True)
    again = made(seed + 20, window=True)
    assert set(window.index.tolist()) & set(again.index.tolist())
    for edits in ((plain, window), (window, plain), (window, again), (plain, window, plain)):
        assert compose(*edits) == edits


def test_edits_with_windows_merge_where_they_share_no_neuron() -> None:
    first, second = made(0, [20, 3, 7], window=True), made(1, [1, 28, 4, 0], window=True)
    (one,) = compose(first, second)
    assert torch.equal(applied(Z, (one,)), applied(Z, (first, second)))
    assert one.index.tolist() == [0, 1, 3, 4, 7, 20, 28]


def test_neighbours_merge_around_one_that_does_not() -> None:
    a, b, window, c = made(0), made(1), made(2, window=True), made(3)
    found = compose(a, b, window, c)
    assert [edit.name for edit in found] == ["made 0 + made 1", "made 2", "made 3"]
    torch.testing.assert_close(
        applied(Z, found), applied(Z, (a, b, window, c)), rtol=1e-5, atol=1e-5
    )


def test_what_changes_nothing_is_dropped() -> None:
    assert compose(made(0).scaled(0), made(1, [])) == ()
    (kept,) = compose(edit := made(0), made(1).scaled(0))
    assert kept is edit


def test_edits_of_two_sites_or_models_do_not_merge() -> None:
    other = replace(made(1), site=replace(SITE, name="linear"))
    assert len(compose(made(0), other)) == 2
    assert len(compose(made(0), replace(made(1), model="another"))) == 2


def test_a_composed_edit_names_its_parts() -> None:
    (one,) = compose(made(0), made(1), made(2))
    assert one.name == "made 0 + made 1 + made 2"
    assert [part["constructor"] for part in one.provenance["composed"]] == [
        "made 0",
        "made 1",
        "made 2",
    ]
    (two,) = compose(one.scaled(0.5), made(3))
    assert two.provenance["composed"][0]["strength"] == 0.5


def residual(row: int, rank: int = 0, **options) -> ResidualEdit:
    random = torch.Generator().manual_seed(row)
    v = torch.randn(1, 1, 6, generator=random)
    pair = torch.randn(2, 1, 1, 6, max(rank, 1), generator=random) if rank else (None, None)
    point = HookSite("residual", row, f"row.{row}", 6)
    return ResidualEdit("mine", (point,), v, *pair, **options)


@pytest.mark.parametrize("rank", [0, 2])
def test_residual_edits_of_different_rows_merge(rank: int) -> None:
    parts = [residual(row, rank) for row in (0, 2, 3)]
    (one,) = compose(*parts)
    assert [point.layer for point in one.points] == [0, 2, 3]
    for i, part in enumerate(parts):
        for name in ("v", "left", "right"):
            whole, own = getattr(one, name), getattr(part, name)
            assert (own is None and whole is None) or torch.equal(whole[:, i : i + 1], own)


@pytest.mark.parametrize(
    "other",
    [residual(0), residual(1, 2), residual(1, strength=0.5), residual(1, restore_norm=True)],
    ids=["same row", "another rank", "another strength", "another norm"],
)
def test_residual_edits_of_other_kinds_stay_apart(other: ResidualEdit) -> None:
    assert len(compose(residual(0), other)) == 2


def test_neurons_and_residual_stream_stay_apart() -> None:
    found = compose(made(0), residual(0), made(1))
    assert [edit.name for edit in found] == ["made 0", "mine", "made 1"]
