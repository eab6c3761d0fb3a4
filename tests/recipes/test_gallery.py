"""The gallery runs as it stands, on fewer sentences; what compares languages is left out."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.packaging import gallery

pytestmark = pytest.mark.skipif("MECHSTEER_RECIPES" not in os.environ, reason="make recipes")


def test_the_gallery_runs_from_its_first_line() -> None:
    parts = [
        (code.replace("head(60)", "head(8)").replace("seeds=(0, 1)", "seeds=(0,)"), picture)
        for code, picture in gallery.blocks()
        if not any(word in code for word in ("similarity", "(found", "transfer"))
    ]
    names: dict[str, Any] = {}
    drawn = [picture for picture, _ in gallery.drawn(names, parts)]
    assert len(drawn) == len(parts) - 1
    assert len(names["study"].chosen) == 2
