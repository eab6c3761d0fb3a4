from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from mechsteer.artifacts import files as artifacts
from mechsteer.corpus import LabelledCorpus
from mechsteer.errors import ArtifactError, ModelError
from mechsteer.kernels import POOLINGS
from mechsteer.recording import shards
from mechsteer.recording.capture import record
from tests.recording.conftest import OPTIONS, content


def test_a_recording_on_disk_is_the_one_in_memory(bridge, corpus, whole) -> None:
    memory = record(bridge("llama"), corpus, **OPTIONS)
    disk, folder = whole
    assert len(list(folder.glob("*.safetensors"))) > 3
    for how in POOLINGS:
        for layer in range(3):
            values = disk.activations(layer, pooling=how)
            assert torch.equal(values, memory.activations(layer, pooling=how))
            assert values.T.is_contiguous()
    assert torch.equal(disk.embeddings, memory.embeddings)


def test_recording_twice_gives_the_same_bytes(bridge, corpus, whole, tmp_path) -> None:
    record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    assert content(tmp_path) == content(whole[1])


def test_a_finished_recording_is_read_and_not_run(bridge, corpus, whole, monkeypatch) -> None:
    monkeypatch.setattr("mechsteer.recording.passes.read", None)  # a forward pass would fail
    again = record(bridge("llama"), corpus, directory=whole[1], **OPTIONS)
    assert torch.equal(again.activations(2), whole[0].activations(2))


@pytest.mark.parametrize("moment", range(5))
def test_a_run_that_dies_while_writing_is_resumed_to_the_same_bytes(  # noqa: PLR0917
    bridge, corpus, whole, tmp_path, monkeypatch, moment: int
) -> None:
    """The write of plan or shard number ``moment`` leaves half a temporary file behind."""
    written = []

    def die(path, data: bytes) -> None:
        if len(written) == moment:
            path.parent.mkdir(exist_ok=True)
            torn = path.parent / f".{path.name}.0123456789abcdef.mechsteer-part"
            torn.write_bytes(data[: len(data) // 2])
            raise KeyboardInterrupt
        written.append(path)
        write_bytes(path, data)

    write_bytes = artifacts.write_bytes
    monkeypatch.setattr(artifacts, "write_bytes", die)
    with pytest.raises(KeyboardInterrupt):
        record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == moment + 1
    record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    assert content(tmp_path) == content(whole[1])


KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from mechsteer.corpus import LabelledCorpus
from mechsteer.model.load import load_model
from mechsteer.recording.capture import record

def fsync(file, synced=[]):
    synced.append(file)
    if len(synced) == 4:  # the plan and two shards are written, the third is not renamed yet
        os.kill(os.getpid(), signal.SIGKILL)

os.fsync = fsync
model, directory, threads, sentences, options = sys.argv[1:]
torch.set_num_threads(int(threads))
corpus = LabelledCorpus(json.loads(sentences))
record(load_model(model, device="cpu"), corpus, directory=Path(directory), **json.loads(options))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX")
def test_a_run_killed_outright_is_resumed_to_the_same_bytes(
    bridge, checkpoint, corpus, whole, tmp_path
) -> None:
    facts = [torch.get_num_threads(), json.dumps(corpus.sentences), json.dumps(OPTIONS)]
    arguments = [checkpoint("llama"), tmp_path, *facts]
    run = subprocess.run([sys.executable, "-c", KILLED, *map(str, arguments)], check=False)
    assert run.returncode == -signal.SIGKILL
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[0].startswith(".00002.safetensors.")
    assert left[1:] == ["00000.safetensors", "00001.safetensors", "plan.json"]
    record(bridge("llama"), corpus, directory=tmp_path, **OPTIONS)
    assert content(tmp_path) == content(whole[1])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"batch_tokens": 100}, "tokens"),
        ({"pooling": "max"}, "pooling"),
        ({"embeddings": False}, "points"),
        ({"site": "linear"}, "points"),
        ({"skip_first": True}, "tokens"),
    ],
)
def test_a_folder_of_other_options_is_refused_naming_them(
    bridge, whole, corpus, change, key
) -> None:
    with pytest.raises(ArtifactError, match=rf"\b{key}: .*name another folder"):
        options = {**OPTIONS, "truncate": True} | change
        longer = corpus if "skip_first" not in change else _longer(corpus)
        record(bridge("llama"), longer, directory=whole[1], **options)


def _longer(corpus) -> LabelledCorpus:
    return LabelledCorpus({c: [f"the {s}" for s in corpus.sentences[c]] for c in corpus.languages})


def test_a_folder_of_another_corpus_model_or_thread_count_is_refused(bridge, corpus, whole) -> None:
    with pytest.raises(ArtifactError, match=r"corpus: "):
        record(bridge("llama"), corpus.select(["eng_Latn"]), directory=whole[1], **OPTIONS)
    with pytest.raises(ArtifactError, match=r"model: "):
        record(bridge("gpt2"), corpus, directory=whole[1], **OPTIONS)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        with pytest.raises(ArtifactError, match=rf"threads: {threads} ≠ {threads + 1}"):
            record(bridge("llama"), corpus, directory=whole[1], **OPTIONS)
    finally:
        torch.set_num_threads(threads)


def test_a_folder_is_refused_while_edits_are_on(bridge, corpus, tmp_path) -> None:
    model = bridge("llama")
    with model.hooks([("blocks.1.mlp.hook_post", lambda z, hook: z * 0)]):
        with pytest.raises(ModelError, match="leave the steering scope"):
            record(model, corpus, directory=tmp_path)
        assert not any(tmp_path.iterdir())
        record(model, corpus)
    record(model, corpus, directory=tmp_path)


def test_models_with_hooks_of_their_own_can_be_recorded_to_a_folder(
    bridge, corpus, tmp_path
) -> None:
    record(bridge("xglm"), corpus, directory=tmp_path)


@pytest.fixture
def asked(monkeypatch) -> list[tuple[set[str], dict[str, slice]]]:
    """What is read of shards: tensors that are read whole, and ranges of others."""
    seen = []
    real = shards.read_tensors

    def read(path, names, ranges):
        seen.append(({*names}, ranges))
        return real(path, names, ranges)

    monkeypatch.setattr(shards, "read_tensors", read)
    return seen


def test_reading_a_layer_opens_only_that_layer(bridge, corpus, whole, asked) -> None:
    again = record(bridge("llama"), corpus, directory=whole[1], **OPTIONS)
    again.activations(1, pooling="mean")
    assert all(read == ({"rows", "post.1.mean"}, {}) for read in asked)


def test_neurons_are_read_alone_once_their_tensor_was_verified(
    bridge, corpus, whole, asked
) -> None:
    again = record(bridge("llama"), corpus, directory=whole[1], **OPTIONS)
    width = again.points[0].width
    for neurons in (range(3, 9), range(width - 2, width + 4), range(width - 2, width + 4)):
        asked.clear()
        found = again.columns(neurons, ("max", "mean"))
        for how in ("max", "mean"):
            every = torch.cat([whole[0].activations(i, pooling=how) for i in (0, 1)], dim=1)
            assert torch.equal(torch.cat(found[how], dim=1), every[:, neurons])
    ours = [read for read in asked if len(read[1]) > 1]
    assert len(ours) == len(list(whole[1].glob("0*.safetensors")))  # each shard is opened once
    assert all(
        not names and {*ranges} == {f"post.{i}.{how}" for i in (0, 1) for how in ("max", "mean")}
        for names, ranges in ours
    )


MEMORY = """
import resource, sys
from pathlib import Path
import torch
from mechsteer.corpus import LabelledCorpus
from mechsteer.model.load import load_model
from mechsteer.recording.capture import record
torch.set_num_threads(1)
model = load_model(sys.argv[1], device="cpu")
def run(n, name):
    sentences = [f"the cat sat on mat {i}" for i in range(n)]
    record(model, LabelledCorpus({"eng_Latn": sentences}), pooling=("max", "mean", "last"),
           embeddings=True, firing=True, directory=Path(sys.argv[2], name), batch_tokens=512)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run(200, "warm")
print(run(400, "few"), run(4400, "many"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_memory_does_not_grow_with_the_number_of_sentences(checkpoint, tmp_path) -> None:
    command = [sys.executable, "-c", MEMORY, str(checkpoint("bloom")), str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    few, many = map(int, output.split())
    # KiB a sentence: 3 layers · 128 neurons · (3 poolings + firing) · 4 B + 5 rows · 32 · 4 B
    pooled = 4000 * 6.6
    # text, tokens and masks of a sentence take under 1 KiB; the allocator wanders by 4 MiB
    assert many - few < 4000 + 4096 < pooled / 2
