"""A recording and its scores: the same bytes, however many ranks make them, on whose disks too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mechsteer.errors import MechsteerError
from mechsteer.experts.score import score_recording
from mechsteer.ranks import OtherRankError, Ranks
from mechsteer.recording.capture import record
from tests.ranks.threads import on_threads

OPTIONS = {"embeddings": True, "batch_tokens": 60, "progress": False}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(bridge, corpus, tmp_path_factory) -> tuple[dict[str, bytes], dict[str, torch.Tensor]]:
    """The files and scores of one process."""
    folder = tmp_path_factory.mktemp("whole")
    recording = record(bridge("llama"), corpus, directory=folder, **OPTIONS)
    found = score_recording(recording)
    return content(folder), {"ap": found.ap, "median": found.median}


@pytest.mark.parametrize(("size", "shared"), [(2, True), (5, True), (2, False), (5, False)])
def test_ranks_end_in_the_same_bytes(  # noqa: PLR0917
    bridge, corpus, whole, tmp_path, size, shared
) -> None:
    model = bridge("llama")
    model.identity()

    def work(ranks: Ranks) -> dict[str, torch.Tensor]:
        folder = tmp_path if shared else tmp_path / str(ranks.rank) / "recording"
        found = score_recording(record(model, corpus, directory=folder, **OPTIONS))
        return {"ap": found.ap, "median": found.median}

    said = on_threads(size, work, one_at_a_time=True)
    for rank, found in enumerate(said):
        assert isinstance(found, dict), found
        assert all(torch.equal(found[name], own) for name, own in whole[1].items())
        assert content(tmp_path if shared else tmp_path / str(rank) / "recording") == whole[0]


def test_more_ranks_than_batches_take_up_what_fewer_left(bridge, corpus, whole, tmp_path) -> None:
    model = bridge("llama")
    record(model, corpus, directory=tmp_path, **OPTIONS)
    for number in (0, 2):
        (tmp_path / f"{number:05d}.safetensors").unlink()
    said = on_threads(
        4, lambda _: record(model, corpus, directory=tmp_path, **OPTIONS).n_truncated,
        one_at_a_time=True,
    )  # fmt: skip
    assert said == [0] * 4
    assert content(tmp_path) == whole[0]


def test_a_truncated_shard_ends_all_ranks_and_the_rest_is_kept(
    bridge, corpus, whole, tmp_path
) -> None:
    model = bridge("llama")
    record(model, corpus, directory=tmp_path, **OPTIONS)
    shard = tmp_path / "00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-40])

    def work(_: Ranks) -> None:
        score_recording(record(model, corpus, directory=tmp_path, **OPTIONS))

    said = on_threads(2, work, one_at_a_time=True)
    assert all(isinstance(error, MechsteerError) for error in said)
    assert all("00001.safetensors is damaged" in str(error) for error in said)
    shard.unlink()
    assert on_threads(2, work, one_at_a_time=True) == [None, None]
    assert content(tmp_path) == whole[0]


def test_a_rank_with_another_model_is_named(bridge, corpus, tmp_path) -> None:
    models = [bridge("llama"), bridge("gpt2")]

    def work(ranks: Ranks) -> None:
        record(models[ranks.rank], corpus, directory=tmp_path / "new", **OPTIONS)

    said = on_threads(2, work, one_at_a_time=True)
    assert all("rank 1 has another " in str(error) for error in said)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_on_one_rank_ends_all(bridge, corpus, whole, tmp_path, monkeypatch) -> None:
    from mechsteer.errors import ArtifactError
    from mechsteer.recording import shards

    model, written = bridge("llama"), shards.write_tensors

    def full(path: Path, *given: object) -> None:
        if path.name.startswith("00001"):
            raise ArtifactError(f"cannot write {path}: No space left on device")
        written(path, *given)

    def work(_: Ranks) -> int:
        return record(model, corpus, directory=tmp_path, **OPTIONS).n_truncated

    monkeypatch.setattr(shards, "write_tensors", full)
    said = on_threads(2, work, one_at_a_time=True)
    assert [type(error) for error in said] == [OtherRankError, ArtifactError]
    assert str(said[0]).endswith("No space left on device")
    monkeypatch.undo()
    assert on_threads(3, work, one_at_a_time=True) == [0, 0, 0]
    assert content(tmp_path) == whole[0]
