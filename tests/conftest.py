"""Fixtures that more than one area of the tests uses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import shape_checks

os.environ["HF_HUB_OFFLINE"] = "1"
pytest.raises = shape_checks.raises  # type: ignore[assignment]

if TYPE_CHECKING:
    from torch import Tensor

    from mechsteer.corpus import LabelledCorpus


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


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Folder of a checkpoint, made once: ``checkpoint("llama", template="<s> $A")``."""
    from tests.families.checkpoints import save_checkpoint, save_tiny
    from tests.model import encoder_decoders, mixture_models, plain_models

    root = tmp_path_factory.mktemp("checkpoints")
    configs: dict[str, tuple[str, str, dict[str, Any]]] = {
        **encoder_decoders.CONFIGS,
        "led": encoder_decoders.LED,
        **plain_models.CONFIGS,
        **mixture_models.CONFIGS,
    }

    def make(family: str, *, template: str = "<s> $A") -> Path:
        folder = root / f"{family} {template}".replace("/", "")
        if folder.exists():
            return folder
        if family in configs:
            return save_tiny(*configs[family], folder, template=template)
        return save_checkpoint(family, folder, template=template)

    return make


@pytest.fixture(scope="session")
def bridge(checkpoint: Callable[..., Path]) -> Callable[..., Any]:
    """A loaded model, shared by the tests that leave it as it was."""
    from mechsteer.model.load import load_model

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
    from mechsteer.corpus import LabelledCorpus
    from tests.families.checkpoints import TEXT

    sentences = {
        code: tuple(" ".join(text.split()[: 1 + i % 11]) + "." * i for i in range(n))
        for code, text, n in zip(
            ("eng_Latn", "fra_Latn", "rus_Cyrl"), TEXT, (13, 9, 6), strict=True
        )
    }
    return LabelledCorpus(sentences, sources={code: f"{code}.txt" for code in sentences})


@pytest.fixture(scope="session")
def random_embeddings() -> Callable[..., dict[str, Tensor]]:
    """Float64 embeddings ``[layer, sentence, d]`` of three languages with means of their own."""

    import torch

    def make(rows: int, d: int, *, n: int = 24, seed: int = 0) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        meaning = torch.randn(rows, n, d, generator=generator, dtype=torch.float64)
        return {
            name: meaning @ torch.randn(d, d, generator=generator, dtype=torch.float64) / d**0.5
            + torch.randn(rows, 1, d, generator=generator, dtype=torch.float64)
            for name in ("eng_Latn", "fra_Latn", "rus_Cyrl")
        }

    return make
