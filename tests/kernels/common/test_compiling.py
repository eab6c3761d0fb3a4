from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mechsteer.kernels.common.compiling import while_compiling

numba = pytest.importorskip("numba")


@pytest.fixture
def said() -> list[str]:
    return []


def saying(said: list[str]):
    @contextmanager
    def say() -> Iterator[None]:
        said.append("start")
        yield
        said.append("end")

    return say


def test_a_compilation_is_told_once_and_ends_with_the_block(said):
    kernel = numba.njit(lambda x: x + 1)
    with while_compiling(saying(said)):
        assert said == []
        assert kernel(1) == 2 and said == ["start"]
        assert kernel(1.5) == 2.5 and said == ["start"]
    assert said == ["start", "end"]


def test_nothing_is_told_where_nothing_compiles(said):
    kernel = numba.njit(lambda x: x + 1)
    kernel(1)
    with while_compiling(saying(said)):
        kernel(2)
    numba.njit(lambda x: x - 1)(1)  # outside of the block
    assert said == []


def test_an_error_in_the_block_comes_through(said):
    with pytest.raises(ZeroDivisionError), while_compiling(saying(said)):
        numba.njit(lambda x: x * 2)(1)
        raise ZeroDivisionError
    assert said == ["start"]
