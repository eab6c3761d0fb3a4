"""Measuring all pairs of many languages under an edit: how much memory, and how long?

One edit, three targets, embeddings from arithmetic in the place of a model, so that what is timed
is what a study does beside the model: measure every state, choose, tabulate.

    python -m experiments.scale.states --languages 111 --sentences 200 --rows 8 --width 256
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from mechsteer.analysis.baselines import LayerEmbeddings
from mechsteer.artifacts.files import write_json
from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.names.flores import FLORES200
from mechsteer.experts.moments import Moments
from mechsteer.experts.scores import STATISTICS, NeuronScores
from mechsteer.interventions import Edit, clamp
from mechsteer.interventions.edits import fingerprint
from mechsteer.memory import embeddings_bytes, measure_bytes, room
from mechsteer.model.sites import HookSite, Site
from mechsteer.options.memory import memory_bytes
from mechsteer.recording import DEFAULT_READING
from mechsteer.recording.on_disk import OnDisk
from mechsteer.studies.edit_factory import EditFactory
from mechsteer.studies.options import StudyOptions
from mechsteer.studies.protocol import Inputs, Scored, run
from mechsteer.studies.runner import ModelFunctions

N_NEURONS = 4608  # of the embedded model


class Space:
    """Embeddings around a shared meaning, moved a little by what the edit is."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.room = given, room(memory_bytes(given.memory))

    def embed(self, corpus: ParallelCorpus, edit: Edit | None) -> LayerEmbeddings:
        """In memory where all of them fit, as ``mechsteer.embed`` does it."""
        rows = self.given.rows, corpus.n_sentences, self.given.width
        seed = int(corpus.fingerprint[:6], 16)
        seed += 0 if edit is None else int(fingerprint(edit)[:6], 16)
        meaning = torch.randn(rows, generator=torch.Generator().manual_seed(1))

        def of(number: int) -> Tensor:
            noise = torch.Generator().manual_seed(seed + number)
            return meaning + 2 * torch.randn(rows, generator=noise)

        each = ((code, of(number)) for number, code in enumerate(corpus.languages))
        total = embeddings_bytes(rows[1] * len(corpus.languages), rows[0], rows[2])
        return dict(each) if total <= self.room else OnDisk.of(each, self.room)

    def bits_per_byte(self, texts: Sequence[str], language: str, edit: Edit | None) -> float:
        """Nobody asks."""
        raise NotImplementedError(language)


def scores_of(languages: Sequence[str]) -> NeuronScores:
    """Random scores of the embedded model's number of neurons."""
    site = Site("post", tuple(HookSite("post", i, f"blocks.{i}", N_NEURONS // 6) for i in range(6)))
    drawn = torch.Generator().manual_seed(2)
    shape = len(languages), N_NEURONS
    tables = {name: torch.rand(shape, generator=drawn) for name in STATISTICS}
    means = Moments(*(tables[name] for name in ("mean", "median", "rest_mean")))
    counts = (9,) * len(languages)
    return NeuronScores(
        tuple(languages), site, "max", counts, 9 * len(languages), beside={"mean": means}, **tables
    )


def studied(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run the protocol and tell what it took."""
    codes = FLORES200[: given.languages]
    dev, test = (
        ParallelCorpus({c: [f"{split} {c} {i}" for i in range(given.sentences)] for c in codes})
        for split in ("dev", "test")
    )
    options = StudyOptions(
        targets=codes[:3], ks=(100,), seeds=range(given.seeds), tune=given.tune,
        controls=given.controls, only_chosen=True,
    )  # fmt: skip
    scores, space = scores_of(codes), Space(given)
    scored = Scored(scores, space.embed(dev, None))
    factory = EditFactory(scores, {"clamp": clamp}, options)
    functions = ModelFunctions(space.embed, space.bits_per_byte)
    inputs = Inputs(functions, scored, dev, test, factory, DEFAULT_READING, folder=folder)
    started = time.perf_counter(), time.process_time()
    found = run(inputs, options)
    sizes = given.languages, given.sentences, given.rows, given.width
    return {
        "seconds": round(time.perf_counter() - started[0], 1),
        "cpu_seconds": round(time.process_time() - started[1], 1),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "one_state_bytes": measure_bytes(memory_bytes(given.memory), *sizes),
        "states": int(found.results["kind"].size and found.results.groupby("kind").ngroups),
        "rows_of_results": len(found.results),
    }


def main() -> None:
    """Study made embeddings, and write what it took."""
    asked = argparse.ArgumentParser(description=__doc__)
    sizes = {"languages": 111, "sentences": 200, "rows": 8, "width": 256, "tune": 20, "seeds": 1}
    for name, default in sizes.items():
        asked.add_argument(f"--{name}", type=int, default=default)
    asked.add_argument("--memory", default="4GB")
    asked.add_argument("--controls", action="store_true", help="baselines and random neurons too")
    asked.add_argument("-o", "--output", type=Path, help="a JSON file")
    given = asked.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        result = {name: getattr(given, name) for name in sizes} | {"memory": given.memory}
        result |= studied(given, Path(folder))
    print(json.dumps(result, indent=2))
    if given.output:
        write_json(given.output, result)


if __name__ == "__main__":
    main()
