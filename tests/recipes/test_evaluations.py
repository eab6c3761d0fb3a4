"""The evaluation harnesses run on a steered model, offline, and see the edit."""

from __future__ import annotations

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.errors import CorpusError, MechsteerError
from mechsteer.experts.scores import NeuronScores
from mechsteer.integrations import bitext, harness
from mechsteer.integrations.needed import needed
from mechsteer.model.load import load_model
from mechsteer.model.sites import find_site


def with_library(name: str) -> Any:
    """Skipped where a library is not installed, before anything is loaded."""
    return pytest.mark.skipif(find_spec(name) is None, reason="make recipes installs it")


@pytest.fixture(scope="module")
def model() -> Any:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def scores(model: Any) -> NeuronScores:
    corpus = ms.ParallelCorpus.embedded("dev", languages=["eng_Latn", "fra_Latn", "jpn_Jpan"])
    return ms.score(model, corpus.head(48))


@with_library("lm_eval")
@pytest.mark.slow
def test_the_harness_runs_a_task_and_sees_the_edit(
    model: Any, scores: NeuronScores, tmp_path: Path
) -> None:
    french = ms.ParallelCorpus.embedded("test").sentences["fra_Latn"]
    rows = [
        {"start": a[: len(a) // 2], "choices": [a[len(a) // 2 :], b[len(b) // 2 :]], "gold": 0}
        for a, b in zip(french[:8], french[8:16], strict=True)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "continuations",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{start}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc"}],
    }
    rolling = {**task, "task": "bits", "output_type": "loglikelihood_rolling",
               "doc_to_text": "", "doc_to_target": "{{start}}", "doc_to_choice": None,
               "metric_list": [{"metric": "bits_per_byte"}]}  # fmt: skip
    plain = harness.evaluate(model, task), harness.evaluate(model, rolling)
    with ms.steer(model, ms.clamp(scores.top("jpn_Jpan", 1500))):
        steered = harness.evaluate(model, task), harness.evaluate(model, rolling)
    assert 0 <= plain[0]["acc,none"] <= 1
    expected = ms.perplexity(model, [row["start"] for row in rows]).bits_per_byte
    assert plain[1]["bits_per_byte,none"] == pytest.approx(expected, rel=1e-6)
    assert steered[1]["bits_per_byte,none"] > plain[1]["bits_per_byte,none"]
    assert steered[0].keys() == plain[0].keys()


@torch.inference_mode()
def test_a_continuation_is_scored_as_written_out_and_text_is_cut_at_a_stop(model: Any) -> None:
    bridge = harness.Answers(model)
    words = model.plain_tokenizer
    before, after = "The king gave", " the shepherd a ring"
    start, ids = (words(text)["input_ids"] for text in (before, before + after))
    logp = model(torch.tensor([ids]))[0].double().log_softmax(-1)
    expected = sum(logp[at - 1, ids[at]].item() for at in range(len(start), len(ids)))
    assert bridge._continuation(before, after)[0] == pytest.approx(expected, rel=1e-9)
    whole = bridge._written("The weather", {"max_gen_toks": 8})
    stop = whole[3:5]
    cut = bridge._written("The weather", {"max_gen_toks": 8, "until": [stop]})
    assert cut == whole[: whole.index(stop)]


@with_library("mteb")
@pytest.mark.slow
def test_mteb_runs_a_bitext_task_and_sees_the_edit(
    model: Any, scores: NeuronScores, tmp_path: Path
) -> None:
    names = ("eng_Latn", "fra_Latn", "jpn_Jpan")
    corpus = ms.ParallelCorpus.embedded("test", languages=names).head(24)
    task = bitext.local_task(corpus, [("eng_Latn", "fra_Latn"), ("jpn_Jpan", "eng_Latn")])
    plain = bitext.evaluate(model, task, layer=4, cache=tmp_path)
    with ms.steer(model, ms.clamp(scores.top("fra_Latn", 1500))):
        steered = bitext.evaluate(model, task, layer=4, cache=tmp_path)
    assert {found["edits"] for found in plain.values()} == {"none"}
    assert all(found["edits"].startswith("clamp ") for found in steered.values())
    assert len(list(tmp_path.rglob("LocalBitextMining.json"))) == 2  # neither took the other's
    embedded = {name: rows[4] for name, rows in ms.embed(model, corpus).items()}
    unit = {name: torch.nn.functional.normalize(rows) for name, rows in embedded.items()}
    for pair, found in plain.items():
        left, right = pair.split("-")
        hits = (unit[left] @ unit[right].T).argmax(1) == torch.arange(24)
        assert found["accuracy"] == pytest.approx(hits.float().mean().item(), abs=1e-6)
    assert set(plain) == {"eng_Latn-fra_Latn", "jpn_Jpan-eng_Latn"}
    assert steered != plain


@pytest.mark.filterwarnings("ignore:these edits never acted")
def test_no_two_states_share_an_entry_of_a_cache(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def evaluated(*_: Any, use_cache: str, **__: Any) -> dict[str, Any]:
        seen.append(use_cache)
        return {"results": {"task": {}}}

    fake = SimpleNamespace(
        ModelMeta=SimpleNamespace(create_empty=lambda said: said["revision"]),
        TaskManager=dict, LM=object, simple_evaluate=evaluated,
    )  # fmt: skip
    for module in (bitext, harness):
        monkeypatch.setattr(module, "needed", lambda *_: fake)
    site, index = find_site(model), torch.arange(3)
    edit = ms.NeuronEdit("clamp", site, index, torch.zeros(3), torch.ones(3))
    revisions = [bitext.Encoder(model, 4).mteb_model_meta]
    harness.evaluate(model, "task", cache=tmp_path)
    for own in (edit, edit * 0.5, dataclasses.replace(edit, b=edit.b * 2)):
        with ms.steer(model, own):
            encoder = bitext.Encoder(model, 4)
            revisions.append(encoder.mteb_model_meta)
            harness.evaluate(model, "task", cache=tmp_path)
        with pytest.raises(MechsteerError, match="make one inside"):
            encoder.encode([{"text": ["A fox."]}])
    assert len(set(revisions)) == len(set(seen)) == 4


def test_what_is_not_installed_or_not_there_is_said_in_a_line() -> None:
    missing = "no_such_library.part"
    with pytest.raises(MechsteerError, match=r"needs no_such_library .*mechsteer\[eval\]"):
        needed(missing, "eval")
    with pytest.raises(MechsteerError, match="key 'task'"):
        harness.evaluate("embedded", {"output_type": "loglikelihood"})
    with pytest.raises(CorpusError, match="no ita_Latn in"):
        bitext.local_task(ms.ParallelCorpus.embedded("test"), [("eng_Latn", "ita_Latn")])
