"""The same tests on every backend.

Triton is one of them where its kernels can run: natively on a CUDA device, and without one in
Triton's interpreter, which must be chosen before Python starts::

    TRITON_INTERPRET=1 python -m pytest tests/kernels -m triton

An older Triton is tested beside the installed one from a folder of its own (3.6 interprets loops
only with numpy < 2.4)::

    pip install --no-deps --target /tmp/triton36 triton==3.6.0 numpy==2.3.5
    PYTHONPATH=/tmp/triton36 TRITON_INTERPRET=1 python -m pytest tests/kernels -m triton
"""

import os

import pytest
import torch

SCORERS = ("reference", "cpu", "numpy")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def triton_device() -> torch.device:
    """Where Triton's kernels run; skips the test where they cannot."""
    if INTERPRETED:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        pytest.skip("Triton needs a CUDA device or TRITON_INTERPRET=1")
    return torch.device("cuda")


@pytest.fixture(params=SCORERS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[name for name in SCORERS if name != "reference"])
def fast_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    params=["reference", "cpu", pytest.param("triton", marks=pytest.mark.triton)], scope="session"
)
def kernel_backend(request: pytest.FixtureRequest) -> str:
    """Every backend of an operation that has Triton kernels."""
    if request.param == "triton":
        triton_device()
    return str(request.param)


@pytest.fixture(scope="session")
def device(kernel_backend: str) -> torch.device:
    """Where the tensors of ``kernel_backend`` live."""
    return triton_device() if kernel_backend == "triton" else torch.device("cpu")


@pytest.fixture
def place() -> torch.device:
    """Where Triton's kernels run."""
    return triton_device()
