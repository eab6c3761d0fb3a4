"""Fixtures that more than one area of the tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real text, ``MECHSTEER_DATA``; relative paths start at the project's root."""
    name = os.environ.get("MECHSTEER_DATA")
    if not name:
        pytest.skip("needs real text: set MECHSTEER_DATA to the reference data")
    root = Path(__file__).parents[1] / name
    if not root.is_dir():
        pytest.skip(f"needs real text: MECHSTEER_DATA={name} is not a folder")
    return root.resolve()
