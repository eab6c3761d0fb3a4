"""The benchmark of reading a model: what it times is what it says, over the same batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks import model as benchmark
from mechsteer.model.hooks import read


def test_a_row_for_each_task_and_size_of_batch(
    checkpoint: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    out = tmp_path / "rows.csv"
    options = ["--limit", "4", "--rounds", "1", "--batch-tokens", "40,400", "--out", str(out)]
    benchmark.main([str(checkpoint("llama")), *options])
    rows = pd.read_csv(out)
    assert rows["task"].tolist() == ["body", "embed", "record"] * 2
    assert rows["batch_tokens"].tolist() == [40] * 3 + [400] * 3
    assert (rows["sentences"] == 16).all() and (rows["seconds"] > 0).all()
    assert (rows.loc[rows["task"] == "body", "ratio"] == 1).all()


@torch.inference_mode()
def test_the_body_computes_what_is_embedded(bridge: Any, checkpoint: Any, corpus: Any) -> None:
    model = bridge("llama")
    body = benchmark.body_of(model, str(checkpoint("llama")))
    plan, timed = benchmark.tasks(model, body, corpus, 60)
    assert set(timed) == {"body", "embed", "record"} and len(plan.batches) > 1
    batch, seen = plan.batch(0), []
    read(model, batch.ids, batch.mask, {"ln_final.hook_out": seen.append})
    found = body(batch.ids, attention_mask=batch.mask).last_hidden_state
    real = batch.mask.bool()
    torch.testing.assert_close(found[real], seen[0][real], rtol=1e-4, atol=1e-4)
