"""Scores of blocks, put together, are those of the whole, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mechsteer.errors import MechsteerError
from mechsteer.experts.blocks import Scoring
from mechsteer.experts.files import describe, save_scores
from mechsteer.experts.score import score_recording
from mechsteer.experts.scores import NeuronScores
from mechsteer.memory import PROGRAM, block_of_neurons, divided, scores_bytes, working
from tests.made import SITE, made_recording

NAMES = ("deu_Latn", "fra_Latn", "jpn_Jpan")


def content(scores: NeuronScores, tmp_path) -> tuple[bytes, dict]:
    save_scores(scores, tmp_path / "scores")
    return (tmp_path / "scores").read_bytes(), describe(scores)


@pytest.mark.parametrize("languages", [NAMES, ("deu_Latn", "fra_Latn", "spa_Latn")])
@pytest.mark.parametrize("least", [2, 7, 30, 99])
def test_blocks_in_any_order_give_the_scores_of_the_whole(languages, least, tmp_path) -> None:
    recording = replace(made_recording(), languages=languages)
    whole = content(score_recording(recording), tmp_path)
    scoring = Scoring(recording)
    blocks = scoring.blocks(at_least=least)
    assert len(blocks) == min(least, SITE.n_neurons)
    parts = [(neurons, scoring.block(neurons)) for neurons in reversed(blocks)]
    assert content(scoring.together(parts), tmp_path) == whole


def test_less_memory_gives_more_blocks_and_the_same_scores(tmp_path) -> None:
    recording = made_recording()
    scoring = Scoring(recording, negative_only=("fra_Latn",))
    counts = [len(scoring.blocks(memory=memory)) for memory in (4 * 10**9, 80_000, 1)]
    assert counts[0] == 1 < counts[1] < counts[2] == SITE.n_neurons
    found = {
        content(score_recording(recording, negative_only=("fra_Latn",), memory=memory), tmp_path)[0]
        for memory in (4 * 10**9, 80_000, 1)
    }
    assert len(found) == 1


def test_what_cannot_be_scored_is_named_by_its_own_neuron_in_any_block() -> None:
    recording = made_recording()
    recording.activations(1, pooling="max")[3, 5] = torch.nan
    scoring = Scoring(recording)
    for least in (1, 5, SITE.n_neurons):
        with pytest.raises(MechsteerError, match=r"layer 1, post: .*column 5\b"):
            list(map(scoring.block, scoring.blocks(at_least=least)))


def test_parts_of_a_range_are_equal_and_leave_nothing_out() -> None:
    for n, most, least in ((10, 3, 1), (10, 99, 4), (7, 7, 1), (3, 1, 1), (5, 2, 50)):
        parts = divided(n, most, least)
        assert [i for part in parts for i in part] == list(range(n))
        assert max(map(len, parts)) <= most
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_budget_is_for_the_program_the_scores_and_a_block() -> None:
    four = 4 * 10**9
    assert working(four) == four - PROGRAM
    scores = scores_bytes(20_000, 204)
    assert scores == 4 * 20_000 * 204 * (7 + 3 + 7)
    assert block_of_neurons(four, 10**6, scores) == (four - PROGRAM - scores) // 2 // 10**6
    assert block_of_neurons(1, 10**6, scores) == 1
