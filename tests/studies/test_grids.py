from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechsteer.studies.grids import grown


@pytest.mark.parametrize(
    ("grid", "best", "limits", "expected"),
    [
        ([100, 500], 500, {}, [100, 500, 2500]),
        ([100, 500], 100, {"least": 1}, [20, 100, 500]),
        ([1, 2], 1, {"least": 1}, [1, 2]),
        ([3, 4], 4, {}, [3, 4, 5]),
        ([9, 10], 10, {"most": 10}, [9, 10]),
        ([900, 3000], 3000, {"most": 4000}, [900, 3000, 4000]),
        ([0.5, 1.0], 1.0, {}, [0.5, 1.0, 2.0]),
        ([4, 2, 1], 2, {}, [1, 2, 4]),
        ([7], 7, {}, [7]),
        ([0, 1], 1, {}, [0, 1]),
        ([-1.0, 1.0], -1.0, {}, [-1.0, 1.0]),
    ],
)
def test_a_grid_grows_beyond_the_edge_where_the_best_stands(grid, best, limits, expected):
    assert grown(grid, best, **limits) == expected


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6, unique=True), st.data())
def test_a_grown_grid_holds_the_old_one_and_stays_in_range(grid, data):
    best = data.draw(st.sampled_from(grid))
    found = grown(grid, best, least=1, most=10**6)
    assert set(grid) <= set(found) and len(found) - len(grid) in (0, 1)
    assert all(isinstance(value, int) and 1 <= value <= 10**6 for value in found)
    inside = min(grid) < best < max(grid)
    assert (len(found) == len(grid)) == (inside or best in (1, 10**6))
