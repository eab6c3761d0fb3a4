"""The formulas of memory against what a process really takes, on a small case."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mechsteer.memory import (
    measure_bytes,
    record_bytes,
    room,
    score_bytes,
    scored_neuron_bytes,
    scores_bytes,
    sentence_bytes,
)

MEMORY = 240_000_000
SIZES = {"sentences": 24_000, "neurons": 1_500, "languages": 12, "n": 300, "layers": 3, "d": 1024}
RUN = """
import ctypes, json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from mechsteer.experts.score import score_recording
from mechsteer.memory import room
from mechsteer.recording.on_disk import OnDisk
from mechsteer.studies.measurements import measure
from experiments.scale import synthetic
given, memory, folder = json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
sizes = {name: given[name] for name in ("sentences", "neurons", "languages")}

def peak(call):
    status = Path("/proc/self/status")
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest there was
    of = lambda name: next(int(l.split()[1]) for l in status.read_text().split("\\n") if name in l)
    before = of("VmRSS:")
    call()
    return 1024 * (of("VmHWM:") - before)

warm = synthetic.made(folder.parent / "warm", {"sentences": 4000, "neurons": 60, "languages": 4})
score_recording(warm)  # compiled, and all is imported
shape = given["layers"], given["n"], given["d"]
space = {f"l{i}": torch.randn(shape) for i in range(given["languages"])}
measure({code: x[:, :4] for code, x in space.items()})
held = OnDisk.of(iter(space.items()), room(memory // 4))
found = {
    "record": peak(lambda: synthetic.made(folder, sizes)),
    "score": peak(lambda: score_recording(synthetic.made(folder, sizes), memory=memory)),
    "measure": peak(lambda: measure(space)),
}
del space
found["disk"] = peak(lambda: measure(held))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def taken(tmp_path_factory) -> dict[str, int]:
    """Bytes of each stage beyond what the process had, in a process of its own."""
    if sys.platform != "linux":
        pytest.skip("peaks are read from /proc")
    folder = tmp_path_factory.mktemp("made") / "recording"
    words = [sys.executable, "-c", RUN, json.dumps(SIZES), str(MEMORY), str(folder)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def holds(taken: int, formula: int) -> bool:
    """A formula is a bound, and no idle one; the allocator keeps a third, and 16 MB in any case."""
    return 0.3 * formula - 16e6 < taken < 4 / 3 * formula + 16e6


def test_recording_takes_a_batch_whatever_the_number_of_sentences(taken) -> None:
    sentence = sentence_bytes(SIZES["neurons"], [2], 0, 0)
    # no text here; the noise is made in float32, twice
    formula = record_bytes(2000, sentence, 0, 0) + 2000 * SIZES["neurons"] * 8
    assert formula < SIZES["sentences"] * sentence
    assert holds(taken["record"], formula)


def test_scoring_takes_a_block(taken) -> None:
    n = SIZES["sentences"]
    scores = scores_bytes(SIZES["neurons"], SIZES["languages"], beside=0, in_scripts=6)
    neuron = scored_neuron_bytes(n, [2], largest_script=n // 2)
    shard = 2000 * SIZES["neurons"] * 2
    formula = score_bytes(MEMORY, SIZES["neurons"], neuron, scores, shard=shard)
    assert formula < MEMORY / 4 < 2 * n * SIZES["neurons"]
    assert holds(taken["score"], formula)


def test_measuring_takes_a_layer_of_all_languages_or_the_room_for_two_groups(taken) -> None:
    sizes = SIZES["languages"], SIZES["n"], SIZES["layers"], SIZES["d"]
    embeddings = 4 * SIZES["languages"] * SIZES["n"] * SIZES["layers"] * SIZES["d"]
    assert embeddings < room(10 * MEMORY)
    assert holds(taken["measure"], measure_bytes(10 * MEMORY, *sizes) - embeddings)
    little = MEMORY // 4
    assert embeddings > room(little)
    assert holds(taken["disk"], measure_bytes(little, *sizes))
