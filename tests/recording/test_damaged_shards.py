"""Shards that are damaged, missing or another recording's: found and named."""

from __future__ import annotations

import pytest

from mechsteer.artifacts import files as artifacts
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import ArtifactError
from mechsteer.recording.capture import record
from tests.recording.conftest import OPTIONS, content


def test_a_damaged_or_missing_shard_is_named(bridge, corpus, tmp_path) -> None:
    recording = record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    shard = tmp_path / "00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(
        ArtifactError, match=r"00001\.safetensors is damaged.*other shards are kept"
    ):
        recording.activations(0)
    shard.unlink()
    with pytest.raises(ArtifactError, match=r"a file .*00001.*none; the other shards are kept"):
        _ = recording.embeddings
    again = record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    assert again.activations(0).isfinite().all()


def test_shards_of_an_unknown_recording_are_not_taken_up(bridge, corpus, tmp_path) -> None:
    record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(ArtifactError, match=r"without their plan\.json"):
        record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)


def test_damage_is_found_though_only_some_neurons_are_read(bridge, corpus, tmp_path) -> None:
    recording = record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    path = tmp_path / "00001.safetensors"
    tensors, _ = artifacts.read_tensors(path)
    data = path.read_bytes()
    own = tensors["post.1.max"].numpy().tobytes()
    at = data.index(own) + len(own) - 1  # of the last neuron, which nobody asks for
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    width = recording.points[0].width
    recording.columns(range(width), ("max",))
    with pytest.raises(ArtifactError, match=r"00001.*damaged: 'post\.1\.max'.*shards are kept"):
        recording.columns(range(width, width + 1), ("max",))


@pytest.mark.parametrize("name", [".env.local", "notes.txt", "1.safetensors", "sub/x"])
def test_a_folder_of_the_users_is_refused_and_nothing_in_it_touched(
    bridge, corpus, tmp_path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ArtifactError, match="no part of a recording: name a new folder"):
        record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    assert (tmp_path / name).read_text() == "mine"
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 1


def test_a_flipped_bit_in_a_finished_shard_is_found(bridge, corpus, tmp_path) -> None:
    recording = record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    shard = tmp_path / "00000.safetensors"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 0x40
    shard.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"00000\.safetensors is damaged"):
        for point in recording.points:
            for pooling in recording.pooling:
                recording.activations(point, pooling=pooling)
        recording.embeddings_by_language()


def test_a_shard_of_another_batch_or_recording_passes_for_no_other(
    bridge, corpus, whole, tmp_path
) -> None:
    recording = record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    own = content(tmp_path)
    other = LabelledCorpus({c: [*corpus.sentences[c]][::-1] for c in corpus.languages})
    record(bridge("llama"), other, directory=tmp_path / "x" / "other", **OPTIONS)
    theirs = content(tmp_path / "x" / "other")["00000.safetensors"]
    for data in (theirs, own["00001.safetensors"]):
        (tmp_path / "00000.safetensors").write_bytes(data)
        with pytest.raises(ArtifactError, match=r"00000.* of another recording, expected batch 0"):
            recording.activations(0)
        with pytest.raises(ArtifactError, match="of another recording"):
            _ = recording.embeddings


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_shard_that_holds_no_numbers_names_the_layer(
    bridge, corpus, tmp_path, value: float
) -> None:
    recording = record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    path = tmp_path / "00001.safetensors"
    tensors, facts = artifacts.read_tensors(path)
    for name, layer in (("post.2.max", "layer 2"), ("residual.1.mean", "layer 1")):
        damaged = {key: tensor.clone() for key, tensor in tensors.items()}
        damaged[name][0, 0] = value
        artifacts.write_tensors(path, damaged, facts)
        with pytest.raises(ArtifactError, match=rf"00001.*of {layer} .* is not finite"):
            _ = recording.activations(2), recording.embeddings
