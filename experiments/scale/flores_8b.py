"""Plans FLORES-200 through an 8B model on 1 and on 64 GPUs, and says where it breaks.

``python -m experiments.scale.flores_8b`` writes ``flores_8b.csv`` beside this file. Nothing of it
is measured on a GPU: operations follow from the published shape of Llama 3.1 8B (``config.json``),
seconds from a published peak at an assumed share, scoring and measuring from this processor. Texts
are those of the languages in ``MECHSTEER_DATA``; the other languages of FLORES-200 borrow them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.corpus import ParallelCorpus
from mechsteer.corpus.names.flores import FLORES200
from mechsteer.planning import published
from mechsteer.planning.plan import plan
from mechsteer.throughput.bench import machine

HERE = Path(__file__).parent
MODEL, TABLE = HERE / "llama-3.1-8b", HERE / "flores_8b.csv"
STUDY = {
    "targets": ["eng_Latn", "fra_Latn", "rus_Cyrl", "arb_Arab", "zho_Hans"],
    "ks": [0.0005, 0.001, 0.005, 0.01],
    "tune": 100,
    "only_chosen": True,
    "batch_tokens": 8192,
}
MEMORY, RANKS = ("4GB", "64GB"), (1, 64)


def flores(split: str) -> ParallelCorpus:
    """All 204 languages; those that are not at hand with the text of another."""
    folder = Path(os.environ["MECHSTEER_DATA"]) / "flores200" / split
    there = ParallelCorpus.from_dir(folder, split=split)
    texts = dict(there.sentences)
    borrowed = cycle(there.sentences.values())
    for code in FLORES200:
        if code not in texts:
            texts[code] = next(borrowed)
    return ParallelCorpus(texts, name=f"flores200 {split}")


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that runs on its first call, and gives the same again."""
    kept: list[Any] = []

    def call(*args: Any) -> Any:
        kept.extend([] if kept else [function(*args)])
        return kept[0]

    return call


def main() -> None:
    """Plan with the usual memory and with more, on one GPU and on many.

    What this processor takes is timed once, for all plans alike.
    """
    for name in ("scoring", "measuring"):
        setattr(published, name, once(getattr(published, name)))
    dev, test = flores("dev"), flores("devtest")
    rows = []
    for memory, ranks in ((MEMORY[0], 1), *((MEMORY[1], ranks) for ranks in RANKS)):
        found = plan(MODEL, dev, test=test, gpu="H100", ranks=ranks, memory=memory, **STUDY)
        table = found.table().assign(ranks=ranks, memory_option=memory, states=found.states)
        table["tokens"], table["sentences"] = found.tokens, found.sentences
        rows.append(table.assign(short="; ".join(found.shortages), machine=machine()))
    pd.concat(rows).to_csv(TABLE, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
