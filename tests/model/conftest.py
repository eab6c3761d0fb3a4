"""Tiny random checkpoints, made once and loaded once: of the roster, and odder ones beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"

from experiments.model_families.checkpoints import TEXT, save_checkpoint, save_tiny
from mechsteer.corpus import LabelledCorpus
from mechsteer.models import load_model
from tests.model import encoder_decoders, mixture_models, plain_models

CONFIGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    **encoder_decoders.CONFIGS,
    "led": encoder_decoders.LED,
    **plain_models.CONFIGS,
    **mixture_models.CONFIGS,
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folder of a checkpoint, made once: ``checkpoint("llama", template="<s> $A")``."""
    root = tmp_path_factory.mktemp("checkpoints")

    def make(family: str, *, template: str = "<s> $A") -> Path:
        folder = root / f"{family} {template}".replace("/", "")
        if folder.exists():
            return folder
        if family in CONFIGS:
            return save_tiny(*CONFIGS[family], folder, template=template)
        return save_checkpoint(family, folder, template=template)

    return make


@pytest.fixture(scope="session")
def bridge(checkpoint: Callable[..., Path]) -> Callable[..., Any]:
    """A loaded model, shared by the tests that leave it as it was."""
    loaded: dict[tuple[str, str], Any] = {}

    def load(family: str, *, template: str = "<s> $A") -> Any:
        key = family, template
        if key not in loaded:
            loaded[key] = load_model(checkpoint(family, template=template), device="cpu")
        return loaded[key]

    return load


@pytest.fixture(scope="session")
def corpus() -> LabelledCorpus:
    """Three languages of unequal numbers of sentences, of 1 to 40 tokens."""
    sentences = {
        code: tuple(" ".join(text.split()[: 1 + i % 11]) + "." * i for i in range(n))
        for code, text, n in zip(
            ("eng_Latn", "fra_Latn", "rus_Cyrl"), TEXT, (13, 9, 6), strict=True
        )
    }
    return LabelledCorpus(sentences, sources={code: f"{code}.txt" for code in sentences})
