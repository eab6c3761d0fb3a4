"""A recording on disk that tests compare with, interrupt and damage."""

from __future__ import annotations

import pytest

from mechsteer.kernels import POOLINGS
from mechsteer.recording.capture import record

OPTIONS = {"pooling": POOLINGS, "embeddings": True, "batch_tokens": 60}


def content(folder) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(bridge, corpus, tmp_path_factory):
    """A recording that nothing interrupted, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return record(bridge("llama"), corpus, directory=folder, **OPTIONS), folder
