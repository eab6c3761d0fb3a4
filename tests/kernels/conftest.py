"""The same tests on every backend."""

import pytest

BACKENDS = ("reference", "cpu", "numpy")


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[name for name in BACKENDS if name != "reference"])
def fast_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)
