"""What exceeds the memory goes to files without a name, and reads back the same bits."""

from __future__ import annotations

import errno
import os
import tempfile

import pytest
import torch

from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts.score import score
from mechsteer.interventions import centring
from mechsteer.memory import room
from mechsteer.model.load import load_model
from mechsteer.options.memory import USUAL_MEMORY, memory_bytes
from mechsteer.recording.capture import embed, record
from mechsteer.recording.on_disk import OnDisk
from mechsteer.recording.spilled import Spilled
from mechsteer.steering import embed_steered

LITTLE = "100kB"  # half of what that leaves for values is 12.5 kB
OPTIONS = {"pooling": ("max", "mean"), "embeddings": True, "batch_tokens": 60}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The folder for temporary files; whatever happens, nothing can be seen in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_recording_beyond_its_memory_is_the_one_in_memory(checkpoint, corpus, dtype) -> None:
    model = load_model(checkpoint("llama"), device="cpu", dtype=dtype)
    whole = record(model, corpus, firing=True, **OPTIONS)
    spilled = record(model, corpus, firing=True, memory=LITTLE, **OPTIONS)
    assert isinstance(spilled._store, Spilled)
    for layer in range(3):
        for how in ("max", "mean"):
            found = spilled.activations(layer, pooling=how)
            assert found.dtype == (dtype if how == "max" else torch.float32)
            assert torch.equal(found, whole.activations(layer, pooling=how))
            assert found.T.is_contiguous()
        assert torch.equal(spilled.fired(layer), whole.fired(layer))
    some = range(5, whole.points[0].width + 3)
    mine, theirs = (torch.cat(r.columns(some, ("max",))["max"], dim=1) for r in (whole, spilled))
    assert torch.equal(mine, theirs)
    assert torch.equal(spilled.embeddings, whole.embeddings)
    by_language = spilled.embeddings_by_language(memory=100_000)
    assert isinstance(by_language, OnDisk)
    assert list(by_language) == list(corpus.languages)
    for language, x in whole.embeddings_by_language().items():
        assert torch.equal(by_language[language], x)


def test_scores_do_not_depend_on_the_memory(bridge, corpus) -> None:
    whole, little = (
        score(bridge("llama"), corpus, batch_tokens=60, memory=memory)
        for memory in (USUAL_MEMORY, LITTLE)
    )
    for name in ("ap", "auroc", "mean", "median", "std", "rest_mean", "rest_std"):
        assert torch.equal(getattr(whole, name), getattr(little, name))
    assert torch.equal(whole.beside["mean"].median, little.beside["mean"].median)


def test_embeddings_beyond_the_memory_are_those_in_memory(bridge, corpus, tmp_path) -> None:
    model = bridge("llama")
    whole = embed(model, corpus, batch_tokens=60)
    edit = centring(model, whole, layers=[1])
    folder = tmp_path / "recording"
    record(model, corpus, directory=folder, **OPTIONS)
    on_disk = record(model, corpus, directory=folder, **OPTIONS)
    for expected, found in (
        (whole, embed(model, corpus, batch_tokens=60, memory=LITTLE)),
        (whole, on_disk.embeddings_by_language(memory=100_000)),
        (
            embed_steered(model, corpus, edit, batch_tokens=60),
            embed_steered(model, corpus, edit, batch_tokens=60, memory=LITTLE),
        ),
    ):
        assert isinstance(expected, dict)
        assert isinstance(found, OnDisk)
        assert list(found) == list(expected)
        assert all(torch.equal(found[language], x) for language, x in expected.items())


@pytest.mark.parametrize("call", ["pwrite", "open"])
def test_a_disk_that_takes_no_more_is_one_line_that_says_what_to_do(
    bridge, corpus, monkeypatch, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "pwrite":
        monkeypatch.setattr(os, "pwrite", full)
    else:
        monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ArtifactError, match=r"No space left.*TMPDIR.*--memory") as caught:
        record(bridge("llama"), corpus, memory=LITTLE, **OPTIONS)
    assert "\n" not in str(caught.value)


def test_sizes_are_read_as_people_write_them() -> None:
    sizes = {
        "4GB": 4e9, "500 MB": 5e8, "1.5GiB": 1.5 * 2**30, "200k": 2e5, "2t": 2e12, "3e": None,
        "1048576": 2**20, "100000 bytes": 1e5, " 7gb ": 7e9, 10**9: 1e9, "0.5 tib": 2**39,
        "": None, "4": None, "4 bananas": None, "-4GB": None, "nan": None, "1e9": None,
        "٤GB": None, 0: None, True: None, 4e9: None, "99999999 TB": None, "GB": None,
    }  # fmt: skip
    for size, expected in sizes.items():
        if expected is None:
            with pytest.raises(MechsteerError, match=r"a size such as 4GB.*, got "):
                memory_bytes(size)  # type: ignore[arg-type]
        else:
            assert memory_bytes(size) == expected  # type: ignore[arg-type]
    assert room(4 * 10**9) < 2 * 10**9
