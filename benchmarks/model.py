"""What reading a model adds to running it: ``python -m benchmarks.model MODEL [--dev DIR] ...``.

Times, interleaved in one process on one core, the Hugging Face model's body as transformers loads
it (no logits, no cache), ``embed``, and recording (``post``, max and mean), over the same batches
in the same dtype; then tells the median processor seconds of each and the medians of the ratios,
round by round. The body has its batches ready; the others are called as users call them, with all
that they do beside the passes. The bars are 1.15 for ``embed`` and 1.25 for recording;
``benchmarks/results/model_cpu.csv`` has the rows of Gemma 3 270M.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from mechsteer.corpus import LabelledCorpus, ParallelCorpus
from mechsteer.model.gguf.files import is_gguf
from mechsteer.model.identity import EMBEDDED
from mechsteer.model.interface import Model
from mechsteer.model.load import load_model
from mechsteer.recording import embed, record
from mechsteer.recording.batches import BatchPlan, plan_batches
from mechsteer.recording.reading import Reading
from mechsteer.throughput.bench import machine

RESULTS = Path(__file__).parent / "results" / "model_cpu.csv"


@dataclass(frozen=True)
class Row:
    """What one task took with batches of one size; seconds of the processor, medians."""

    model: str
    dtype: str
    batch_tokens: int
    task: str
    seconds: float
    ratio: float
    sentences_per_second: float
    padding: float
    sentences: int
    tokens: int
    rounds: int


def body_of(model: Model, name: str) -> Any:
    """The plain Hugging Face model without its head, in the same dtype and on the same device."""
    from transformers import AutoModel

    path, options = Path(name), {"dtype": model.dtype}
    if is_gguf(path):
        plain = AutoModel.from_pretrained(str(path.parent), gguf_file=path.name, **options)
    else:
        plain = AutoModel.from_pretrained(name, **options)
    return plain.to(model.input_device).eval()


def tasks(
    model: Model, body: Any, corpus: LabelledCorpus, batch_tokens: int
) -> tuple[BatchPlan, dict[str, Callable[[], object]]]:
    """The division into batches, and what is timed over it."""
    reading = Reading(batch_tokens=batch_tokens, truncate=True)
    known = {"context": model.context_length(), "n_words": model.n_words}
    plan = plan_batches(corpus, model.plain_tokenizer, reading, **known)
    batches = [plan.batch(number).to(model.input_device) for number in range(len(plan.batches))]

    @torch.inference_mode()
    def run() -> None:
        for batch in batches:
            body(batch.ids, attention_mask=batch.mask, use_cache=False)

    options: dict[str, Any] = {"reading": reading, "progress": False}
    return plan, {
        "body": run,
        "embed": lambda: embed(model, corpus, **options),
        "record": lambda: record(model, corpus, pooling=("max", "mean"), **options),
    }


def measured(
    model: Model, body: Any, corpus: LabelledCorpus, batch_tokens: int, rounds: int
) -> list[Row]:
    """One row a task; the first round is not counted."""
    plan, timed = tasks(model, body, corpus, batch_tokens)
    spent = pd.DataFrame(
        [{name: _spent(task) for name, task in timed.items()} for _ in range(rounds + 1)]
    ).iloc[1:]
    tokens = sum(map(len, plan.ids))
    cells = sum(plan.batch(number).ids.numel() for number in range(len(plan.batches)))
    return [
        Row(
            model=Path(str(model.cfg.model_name)).name,
            dtype=str(model.dtype).removeprefix("torch."),
            batch_tokens=batch_tokens,
            task=name,
            seconds=spent[name].median(),
            ratio=(spent[name] / spent["body"]).median(),
            sentences_per_second=len(plan.ids) / spent[name].median(),
            padding=cells / tokens - 1,
            sentences=len(plan.ids),
            tokens=tokens,
            rounds=rounds,
        )
        for name in timed
    ]


def _spent(task: Callable[[], object]) -> float:
    before = time.process_time()
    task()
    return time.process_time() - before


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument(
        "model", nargs="?", help="name, folder or GGUF file; default the embedded model"
    )
    parser.add_argument("--dev", type=Path, help="corpus folder; default the embedded sentences")
    parser.add_argument("--languages", default="eng_Latn,fra_Latn,jpn_Jpan,rus_Cyrl")
    parser.add_argument("--limit", type=int, default=30, help="sentences of each language")
    parser.add_argument("--batch-tokens", default="1024,4096", help="sizes of batches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help=f"CSV to write, {RESULTS.name} say")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    codes = options.languages.split(",")
    corpus = (
        ParallelCorpus.from_dir(options.dev, languages=codes)
        if options.dev
        else ParallelCorpus.embedded("dev", languages=codes)
    ).head(options.limit)
    model = load_model(options.model)
    body = body_of(model, options.model or str(EMBEDDED))
    rows: list[Row] = []
    for size in map(int, options.batch_tokens.split(",")):
        rows += measured(model, body, corpus, size, options.rounds)
        print(pd.DataFrame(rows[-3:]).to_string(index=False, float_format="%.3g"), flush=True)
        if options.out:
            _keep(rows, options.out)


def _keep(rows: Sequence[Row], path: Path) -> None:
    where = {
        "machine": f"{machine()}, one core",
        "torch": version("torch"),
        "transformers": version("transformers"),
        "transformer_lens": version("transformer-lens"),
        "date": datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat(),
    }
    found = pd.DataFrame([asdict(row) | where for row in rows])
    found.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
