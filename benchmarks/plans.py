"""What `mechsteer plan` tells beside what follows: ``python -m benchmarks.plans MODEL ...``.

For each model the plan of a small corpus is made, and at once each of its stages is run; the table
``benchmarks/results/plans.csv`` has both, by the clock and of the processor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from mechsteer.corpus import ParallelCorpus
from mechsteer.experts.score import score_recording
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.planning.plan import plan
from mechsteer.planning.rates import Spent
from mechsteer.recording import embed, record
from mechsteer.studies.measurements import measure
from mechsteer.throughput.bench import environment

TABLE = Path(__file__).parent / "results" / "plans.csv"
_POOLINGS = ("max", "mean")
_STATES = 3  # measured, whose median counts: a study measures many


def timed(run: Callable[[], Any]) -> tuple[Any, Spent]:
    """What a call gives and takes."""
    wall, processor = time.perf_counter(), time.process_time()
    found = run()
    return found, Spent(time.perf_counter() - wall, time.process_time() - processor)


def measured(model: Model, corpus: ParallelCorpus) -> dict[str, Spent]:
    """Every stage of a plan, run."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        options: dict[str, Any] = {"directory": folder / "recording", "progress": False}
        recording, recorded = timed(
            lambda: record(model, corpus, pooling=_POOLINGS, embeddings=True, **options)
        )
        _, scored = timed(lambda: score_recording(recording))
        embeddings, embedded = timed(lambda: embed(model, corpus, progress=False))
        states = [
            timed(lambda: measure(embeddings).save(folder / "state.safetensors", ""))[1]
            for _ in range(_STATES)
        ]
    state = sorted(states, key=lambda spent: spent.processor)[_STATES // 2]
    names = ("record", "score", "embed a state", "measure a state")
    return dict(zip(names, (recorded, scored, embedded, state), strict=True))


def rows_of(source: str, corpus: ParallelCorpus) -> list[dict[str, Any]]:
    """Planned and measured seconds of each stage of one model."""
    model = load_model(None if source == "embedded" else source)
    model.identity()  # hashes the weights, once
    planned, planning = timed(lambda: plan(model, corpus))
    return [
        {
            "model": Path(source).name,
            "languages": planned.languages,
            "sentences": planned.sentences,
            "tokens": planned.tokens,
            "stage": name,
            "planned": planned[name].seconds,
            "measured": spent.wall,
            "planned_processor": planned[name].processor_seconds,
            "measured_processor": spent.processor,
            "planning": planning.wall,
        }
        for name, spent in measured(model, corpus).items()
    ]


def main() -> None:
    """Plan, run and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("models", nargs="+", help="names or folders, or embedded")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--languages", default="eng_Latn,fra_Latn,rus_Cyrl,jpn_Jpan,deu_Latn")
    parser.add_argument("--limit", type=int, default=20)
    asked = parser.parse_args()
    corpus = ParallelCorpus.from_dir(asked.corpus, languages=asked.languages).head(asked.limit)
    rows = [row for source in asked.models for row in rows_of(source, corpus)]
    table = pd.DataFrame(rows).assign(**environment())
    table.to_csv(TABLE, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
