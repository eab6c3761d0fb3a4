"""Shapes and types of annotations are checked at every call while the tests run.

``--jaxtyping-packages=mechsteer,beartype.beartype`` (in pyproject.toml) wraps every function of the
package. Where a test expects a refusal the wrappers stand aside: it is the package's own words that
are tested there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jaxtyping import config

_expect_refusal = pytest.raises


@contextmanager
def unchecked() -> Iterator[None]:
    """Call functions as users call them."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", before)


@contextmanager
def raises(*expected: Any, **options: Any) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """``pytest.raises`` of a call that is not checked."""
    with _expect_refusal(*expected, **options) as found, unchecked():
        yield found
