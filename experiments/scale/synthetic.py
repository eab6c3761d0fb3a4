"""Scoring a recording that never stands in memory: how much memory, how fast, and is it exact?

Makes a recording of random activations on disk, in bfloat16, scores it in a process of its own
under a budget, and compares sampled neurons with scikit-learn and with sorts of torch.

    python -m experiments.scale.synthetic FOLDER --sentences 200000 --neurons 20000 --languages 204
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import torch_sort
from mechsteer.artifacts.files import read_tensors, write_json
from mechsteer.experts.files import save_scores
from mechsteer.experts.score import score_recording
from mechsteer.model.identity import ModelIdentity
from mechsteer.model.sites import HookSite, Site
from mechsteer.options.memory import memory_bytes
from mechsteer.recording import Recording
from mechsteer.recording.shards import Shards
from mechsteer.throughput.cases import scikit_learn

BATCH = 2000  # sentences of a shard
SEED = 0


def made(folder: Path, sizes: dict[str, int]) -> Recording:
    """The recording in a folder, its missing shards made first: every second language in Latin."""
    n, neurons, languages = sizes["sentences"], sizes["neurons"], sizes["languages"]
    point = HookSite("post", 0, "made", neurons)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(SEED))
    batches = order.split(BATCH)
    labels = torch.arange(n) * languages // n
    store = Shards(folder, len(batches), n, inputs={"made": sizes})
    with store.writing():
        for number in store.missing():
            rows = batches[number]
            store.add(number, rows, {(point, "max"): activations(number, labels[rows], neurons)})
    return Recording(
        site=Site("post", (point,)),
        pooling=("max",),
        languages=tuple(f"x{i:03d}_{('Latn', 'Zzzz')[i % 2]}" for i in range(languages)),
        labels=labels,
        n_tokens=torch.ones(n, dtype=torch.int64),
        points=(point,),
        firing=False,
        model=ModelIdentity("made", "none", 1, 8, "config", "weights", "words", "bfloat16"),
        sources={},
        n_truncated=0,
        _store=store,
    )


def activations(number: int, labels: Tensor, neurons: int) -> Tensor:
    """Bfloat16 ``[sentence, neuron]``: noise, moved where neuron and language meet; many ties."""
    generator = torch.Generator().manual_seed(SEED + 1 + number)
    x = torch.randn(len(labels), neurons, generator=generator)
    x += (labels[:, None] % 17 == torch.arange(neurons) % 17).float()
    return x.bfloat16()


def scored(folder: Path, sizes: dict[str, int], memory: str) -> dict[str, Any]:
    """Score and save; seconds and this process's peak of resident memory."""
    recording = made(folder, sizes)
    started = time.perf_counter()
    scores = score_recording(recording, memory=memory_bytes(memory))
    seconds = time.perf_counter() - started
    save_scores(scores, folder.parent / "scores.safetensors")
    return {"seconds": round(seconds, 1), "peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """This program's own peak: ``ru_maxrss`` would begin with that of the one which started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def compared(folder: Path, sizes: dict[str, int], sample: int) -> dict[str, Any]:
    """Sampled neurons against scikit-learn (few languages) and torch (all of them)."""
    recording = made(folder, sizes)
    n, languages = sizes["sentences"], sizes["languages"]
    found, _ = read_tensors(folder.parent / "scores.safetensors", ["ap", "auroc"])
    drawn = np.random.default_rng(SEED).choice(sizes["neurons"], sample, replace=False)
    rows = torch.stack(
        [recording.columns(range(i, i + 1), ("max",))["max"][0][:, 0] for i in drawn.tolist()]
    )
    ours = torch.stack([found[name][:, 0, torch.from_numpy(drawn)] for name in ("ap", "auroc")])
    few = min(4, languages)
    told: dict[str, Any] = {"sampled_neurons": sample}
    for name, peer, count in (
        ("scikit_learn", scikit_learn, few),
        ("torch_sort", torch_sort, languages),
    ):
        started = time.perf_counter()
        theirs = peer(rows, recording.labels, count)
        seconds = time.perf_counter() - started
        told[name] = {
            "languages": count,
            "ns_per_element_and_language": seconds / (n * sample * count) * 1e9,
            "largest_difference": float((theirs - ours[:, :count]).abs().max()),
        }
    return told


def main() -> None:
    """Make, score in a process of its own, compare, and write ``result.json``."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    for name, default in (("sentences", 200_000), ("neurons", 20_000), ("languages", 204)):
        asked.add_argument(f"--{name}", type=int, default=default)
    asked.add_argument("--memory", default="1.5GB")
    asked.add_argument("--sample", type=int, default=20)
    asked.add_argument("--score", action="store_true", help="only score, and tell what it took")
    given = asked.parse_args()
    sizes = {name: getattr(given, name) for name in ("sentences", "neurons", "languages")}
    folder = given.folder / "recording"
    torch.set_num_threads(1)
    if given.score:
        print(json.dumps(scored(folder, sizes, given.memory)))
        return
    made(folder, sizes)
    again = [sys.executable, "-m", "experiments.scale.synthetic", *sys.argv[1:], "--score"]
    ours = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
    elements = sizes["sentences"] * sizes["neurons"]
    ours["ns_per_element"] = ours["seconds"] / elements * 1e9
    ours["ns_per_element_and_language"] = ours["ns_per_element"] / sizes["languages"]
    result = {**sizes, "memory": given.memory, "bytes_on_disk": 2 * elements, "mechsteer": ours}
    result |= compared(folder, sizes, given.sample)
    write_json(given.folder / "result.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
