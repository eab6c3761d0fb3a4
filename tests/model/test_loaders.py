"""What other libraries' loaders may do while a model is opened: nothing to the environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import mechsteer as ms


@pytest.fixture
def vision(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """TransformerLens takes every model for one that sees; what it runs is kept, not run."""
    from transformer_lens.model_bridge.sources.transformers import helpers, source

    ran: list[Any] = []
    asked: list[bool] = []
    monkeypatch.setattr(subprocess, "check_call", lambda *args, **_: ran.append(args))
    loads = helpers.load_modality_processor

    def load_modality_processor(*args: Any, **options: Any) -> Any:
        asked.append(helpers._ensure_torchvision())
        return loads(*args, **options)

    for module in (helpers, source):
        if hasattr(module, "load_modality_processor"):
            monkeypatch.setattr(module, "load_modality_processor", load_modality_processor)
    yield ran
    assert asked  # or nothing was tested


def test_opening_a_model_installs_nothing(
    checkpoint: Callable[..., Path], vision: list[Any]
) -> None:
    from transformer_lens.model_bridge.sources.transformers import helpers

    before = helpers._ensure_torchvision
    ms.load_model(checkpoint("llama"), device="cpu")
    assert vision == []
    assert helpers._ensure_torchvision is before
    helpers._ensure_torchvision()  # what it would have done, where torchvision is missing
    assert bool(vision) == (find_spec("torchvision") is None)
