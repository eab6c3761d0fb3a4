"""What clamping 2,000 neurons adds to a forward pass and to generation, on one CPU core.

``python -m benchmarks.steering`` writes ``benchmarks/results/steering_cpu.csv``: a row for each
task and clock. Rounds interleave a bare run, a steered one and a second bare one (the A/A pair) in
an order drawn anew; the overhead is the median of steered less bare, less that of bare less bare,
with the upper end of its one-sided 95 % bootstrap interval, all in percent of the median bare run.
Processor time is the clock to read on a machine that is busy otherwise. The model has random
weights: 4 Llama layers of d_model 1024. Scopes are entered outside of the clock.
"""

from __future__ import annotations

import datetime
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mechsteer.interventions import NeuronEdit
from mechsteer.model.load import EMBEDDED, load_model
from mechsteer.model.sites import find_site
from mechsteer.steering import steer
from mechsteer.throughput.bench import machine

RESULTS = Path(__file__).parent / "results" / "steering_cpu.csv"
D_MODEL, LAYERS, NEURONS = 1024, 4, 2000
BATCH, TOKENS, NEW_TOKENS = 2, 32, 12
PAIRS = 120
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Overhead:
    """One task on one clock; times in ms, overheads in percent of the bare run."""

    task: str
    clock: str
    pairs: int
    bare: float
    steered: float
    overhead: float
    upper_95: float
    a_a: float
    bare_tokens_per_second: float
    steered_tokens_per_second: float


def random_model() -> Any:
    """Llama layers of random weights, in the vocabulary of the embedded tokenizer."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    config = LlamaConfig(
        hidden_size=D_MODEL,
        intermediate_size=2816,
        num_hidden_layers=LAYERS,
        num_attention_heads=16,
        num_key_value_heads=4,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
    )
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return load_model(folder, device="cpu")


def random_clamp(model: Any) -> NeuronEdit:
    """Hold 2,000 neurons, spread over all layers, at values of their own."""
    site, generator = find_site(model), torch.Generator().manual_seed(1)
    index = torch.randperm(site.n_neurons, generator=generator)[:NEURONS].sort().values
    return NeuronEdit("clamp", site, index, torch.zeros(NEURONS), torch.rand(NEURONS) * 0.1)


def tasks(model: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is timed, with the number of tokens it reads or writes."""
    ids = torch.randint(3, 5000, (BATCH, TOKENS), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    options = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "stop_at_eos": False}

    def forward() -> Tensor:
        return model(ids, attention_mask=mask)

    def generation() -> Tensor:
        return model.generate(ids, verbose=False, return_type="tokens", **options)

    return {
        "forward": (forward, BATCH * TOKENS),
        "generation": (generation, BATCH * NEW_TOKENS),
    }


def rounds(model: Any, edit: NeuronEdit, run: Callable[[], Any]) -> NDArray[np.float64]:
    """Seconds ``[clock, pair, (bare, steered, bare again)]``."""
    spent = np.empty((len(CLOCKS), PAIRS, 3))
    order = np.random.default_rng(0)
    for pair in range(-2, PAIRS):  # the first two warm up, and are written over at the end
        for which in order.permutation(3):
            with steer(model, *([edit] if which == 1 else [])):
                start = [clock() for clock in CLOCKS.values()]
                run()
                end = [clock() for clock in CLOCKS.values()]
            spent[:, pair, which] = np.subtract(end, start)
    return spent


def overhead(task: str, clock: str, spent: NDArray[np.float64], tokens: int) -> Overhead:
    """Medians, and the bootstrap over pairs."""
    bare, steered, again = spent.T
    draws = np.random.default_rng(0).integers(PAIRS, size=(10_000, PAIRS))
    differences = np.stack((steered - bare, again - bare))
    share = 100 / np.median(bare)
    added, a_a = np.median(differences, -1) * share
    resampled = np.median(differences[:, draws], -1) * share
    return Overhead(
        task,
        clock,
        PAIRS,
        float(np.median(bare) * 1e3),
        float(np.median(steered) * 1e3),
        float(added - a_a),
        float(np.quantile(resampled[0] - resampled[1], 0.95)),
        float(a_a),
        float(tokens / np.median(bare)),
        float(tokens / np.median(steered)),
    )


def all_overheads() -> list[Overhead]:
    """Both tasks on both clocks."""
    torch.set_num_threads(1)
    model = random_model()
    edit = random_clamp(model)
    rows: list[Overhead] = []
    with torch.inference_mode():
        for task, (run, tokens) in tasks(model).items():
            spent = rounds(model, edit, run)
            rows += [
                overhead(task, clock, times, tokens)
                for clock, times in zip(CLOCKS, spent, strict=True)
            ]
    return rows


def main() -> None:
    """Measure, print and keep."""
    found = pd.DataFrame([asdict(row) for row in all_overheads()]).assign(
        neurons=NEURONS,
        d_model=D_MODEL,
        layers=LAYERS,
        batch=BATCH,
        tokens=TOKENS,
        new_tokens=NEW_TOKENS,
        machine=machine(),
        python=platform.python_version(),
        torch=torch.__version__,
        transformer_lens=version("transformer-lens"),
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    )
    RESULTS.parent.mkdir(exist_ok=True)
    found.to_csv(RESULTS, index=False, float_format="%.2f", lineterminator="\n")
    print(found.iloc[:, :10].to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    main()
