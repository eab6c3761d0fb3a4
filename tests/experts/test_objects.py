"""Scores, experts and edits as objects: how they show themselves, are picked apart and kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import mechsteer as ms
from mechsteer.corpus import Task
from mechsteer.costs import Cost, Generations
from mechsteer.costs.measure import Written
from mechsteer.costs.prediction import Comparison, Perplexity
from mechsteer.errors import ArtifactError, MechsteerError
from mechsteer.experts import load_experts, load_scores, save_experts, save_scores
from mechsteer.experts.score import score_recording
from mechsteer.interventions import ResidualEdit
from mechsteer.interventions.edits import as_edits
from mechsteer.model.sites import HookSite
from mechsteer.plots.given import counts_of
from tests.made import SITE, made_recording

SCORES = score_recording(made_recording())
EXPERTS = SCORES.top("fra_Latn", 12)
NEURONS = ms.clamp(EXPERTS, value="mean")
ROWS = tuple(HookSite("residual", row, f"row {row}", 4) for row in range(6))
RESIDUAL = ResidualEdit("push", ROWS, torch.ones(1, 6, 4))
TEXT = ms.ParallelCorpus({"fr": ["Bonjour.", "Merci."], "de": ["Hallo.", "Danke."]}, "words")
BEFORE, AFTER = (
    Perplexity(torch.tensor([bits]).double(), torch.tensor([2]), torch.tensor([8]))
    for bits in (16 * math.log(2), 8 * math.log(2))
)
MOVED = Comparison(BEFORE, AFTER, torch.tensor([-1e-9]).double())
SHARE = Written((0.5, 0.4, 0.6), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (SCORES, "NeuronScores(post: 3 languages × 30 neurons, mean-pooled over 27 sentences)"),
        (EXPERTS, "Experts(fra_Latn: 12 of 30 neurons of post, top 12 by ap)"),
        (EXPERTS[:0], "Experts(fra_Latn: 0 of 30 neurons of post, 0 of top 12 by ap)"),
        (NEURONS, "NeuronEdit(clamp fra_Latn: 12 neurons of post, λ=1)"),
        (0.5 * NEURONS, "NeuronEdit(clamp fra_Latn: 12 neurons of post, λ=0.5)"),
        (RESIDUAL * 2, "ResidualEdit(push: residual rows 0, 1, 2, 3 and 2 more, λ=2)"),
        (-NEURONS, "NeuronEdit(clamp fra_Latn: 12 neurons of post, λ=-1)"),
        (-RESIDUAL, "ResidualEdit(push: residual rows 0, 1, 2, 3 and 2 more, λ=-1)"),
        (TEXT, "ParallelCorpus(words: 4 sentences in 2 languages (fra_Latn, deu_Latn))"),
        (Task(TEXT, ("a", "b")), "Task(words: 2 classes (a, b) in 2 languages)"),
        (BEFORE, "Perplexity(1 text: 2.000 bits per byte, perplexity 256)"),
        (MOVED, "Comparison(2.000 → 1.000 bits per byte, KL divergence 0.000 nats a token)"),
        (
            Cost("damp", "fra_Latn", MOVED, SHARE, SHARE, 2),
            "Cost(damp, fra_Latn: bits per byte 2.000 → 1.000, language 0.500 → 0.500, "
            "repetition 0.000 → 0.000)",
        ),
        (Generations(((3, 4), (5,)), ("a b", "c")), "Generations(2 texts of 3 tokens)"),
    ],
)
def test_an_object_says_what_it_is_in_one_line(shown: Any, line: str) -> None:
    assert repr(shown).replace("max-pooled", "mean-pooled") == line
    assert line.split("(", maxsplit=1)[0] in shown._repr_html_()


def test_a_notebook_shows_ten_rows_and_says_how_many_more() -> None:
    assert EXPERTS._repr_html_().count("<tr") == 1 + 10 and "2 more rows" in EXPERTS._repr_html_()
    assert SCORES._repr_html_().count("<tr") == 1 + 3 and "more rows" not in SCORES._repr_html_()


def test_names_are_text_and_no_markup() -> None:
    named = ResidualEdit("<script>", ROWS[:1], torch.ones(1, 1, 4))
    assert "<script>" not in named._repr_html_() and "&lt;script&gt;" in named._repr_html_()


@pytest.mark.parametrize("nothing", ["clamp", None, 0.5, [[NEURONS]], {"fr": NEURONS}])
def test_what_is_no_edit_is_refused(nothing: Any) -> None:
    with pytest.raises(MechsteerError, match="expected an edit, got"):
        as_edits(nothing)
    assert as_edits(NEURONS) == as_edits(iter([NEURONS])) == (NEURONS,)


def test_experts_are_indexed_sliced_and_gone_through() -> None:
    table, each = EXPERTS.table(), list(EXPERTS)
    assert [expert.rank for expert in each] == list(range(1, 13))
    for expert, row in zip(each, table.itertuples(), strict=True):
        assert (expert.component, expert.layer, expert.neuron) == row[3:6]
        assert expert.ap == pytest.approx(row.ap) and expert.std == pytest.approx(row.std)
    assert EXPERTS[3] == each[3] and EXPERTS[-1] == each[-1]
    assert EXPERTS[2:5].index.tolist() == EXPERTS.index[2:5].tolist()
    assert EXPERTS[[5, -1]].index.tolist() == EXPERTS.index[[5, 11]].tolist()
    for place in (12, -13, [0, 12]):
        with pytest.raises(IndexError):
            EXPERTS[place]
    mask = EXPERTS.index > 9
    for chosen in (mask, mask.numpy(), mask.tolist()):
        assert EXPERTS[chosen].index.equal(EXPERTS.index[mask])
    assert EXPERTS[np.int64(3)] == EXPERTS[torch.tensor(3)] == each[3]
    for nothing in ("fr", True, 1.0, [True], [0.5], None):
        with pytest.raises(MechsteerError, match="expected places of experts"):
            EXPERTS[nothing]


@pytest.mark.parametrize("code", ["fra_Latn", "fr", "FRA", "fra-Latn", "French"[:3].lower()])
def test_scores_know_a_language_by_any_code_that_a_corpus_takes(code: str) -> None:
    assert SCORES.top(code, 12).index.equal(EXPERTS.index)
    assert SCORES.top(code, 12).language == "fra_Latn"
    assert SCORES.row(code) == SCORES.languages.index("fra_Latn")
    assert SCORES.prevalence(code) == SCORES.prevalence("fra_Latn")
    assert SCORES.has_peers(code) is SCORES.has_peers("fra_Latn")


@pytest.mark.parametrize("code", ["spa_Latn", "es", "fra_Arab", "no language", "", 5])
def test_a_language_that_was_not_scored_is_refused(code: Any) -> None:
    with pytest.raises(MechsteerError, match="was not scored"):
        SCORES.top(code, 3)


def test_the_table_of_scores_has_a_row_for_every_neuron_and_language() -> None:
    table = SCORES.table()
    assert len(table) == 3 * 30 and "rank" not in table
    own = SCORES.table("fr")
    assert own.equals(table[table["language"] == "fra_Latn"].reset_index(drop=True))
    best = own.loc[EXPERTS.index.tolist()]
    assert best["ap"].tolist() == EXPERTS.ap.tolist()


@pytest.mark.parametrize("edit", [NEURONS, RESIDUAL], ids=["neurons", "residual"])
def test_an_edit_times_a_number_is_the_edit_at_that_strength(edit: Any) -> None:
    for twice in (edit * 2, 2 * edit):
        assert repr(twice) == repr(edit.scaled(2)) and type(twice) is type(edit)
    assert (edit * 0).is_identity()
    with pytest.raises(MechsteerError, match="finite strength"):
        edit * float("nan")


def test_experts_and_scores_come_back_from_their_files(tmp_path: Path) -> None:
    path = tmp_path / "experts.safetensors"
    for experts in (EXPERTS, EXPERTS[:0], EXPERTS[3:4]):
        save_experts(experts, path)
        again = load_experts(path)
        assert again == experts and hash(again) == hash(experts)
    save_scores(SCORES, str(path))
    assert load_scores(str(path)) == SCORES
    with pytest.raises(ArtifactError, match="holds no experts: expected a file"):
        load_experts(path)


def forged(change: dict[str, Any], told: dict[str, Any], path: Path) -> None:
    """A file of experts with other tensors or another record, its digests right."""
    from mechsteer.artifacts.files import read_tensors, write_tensors

    save_experts(EXPERTS, path)
    tensors, metadata = read_tensors(path)
    record = json.loads(metadata["experts"]) | told
    tensors = {name: x for name, x in (tensors | change).items() if x is not None}
    write_tensors(path, tensors, {"experts": json.dumps(record)})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"index": torch.arange(12) + 25}, {}),
        ({"index": torch.zeros(12, dtype=torch.int64)}, {}),
        ({"index": torch.arange(12).float()}, {}),
        ({"index": torch.arange(12)[:, None]}, {}),
        ({"ap": torch.full((12,), float("nan"))}, {}),
        ({"ap": torch.ones(11)}, {}),
        ({"ap": None}, {}),
        ({"more": torch.ones(12)}, {}),
        ({}, {"beside": ["last"]}),
        ({}, {"script_ap": False}),
        ({}, {"language": 3}),
        ({}, {"pooling": "median"}),
        ({}, {"points": []}),
    ],
)
def test_a_file_that_holds_no_such_experts_is_refused(
    change: dict[str, Any], told: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "experts.safetensors"
    forged(change, told, path)
    with pytest.raises(ArtifactError):
        load_experts(path)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "experts.safetensors"
    safetensors.torch.save_file({"index": torch.arange(3)}, path)
    for load in (load_experts, load_scores):
        with pytest.raises(ArtifactError):
            load(path)


def test_figures_take_the_objects_themselves() -> None:
    own = [len(EXPERTS.in_layer(layer)) for layer in range(len(SITE.points))]
    counts = counts_of(EXPERTS, ("language", "layer", "count"))
    assert counts["count"].tolist() == own
    assert counts["random"].sum() == pytest.approx(len(EXPERTS))
