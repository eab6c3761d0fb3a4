"""Plans of a tiny model against what its run really takes, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import mechsteer as ms
from mechsteer.cli import cli
from mechsteer.errors import MechsteerError
from mechsteer.planning import plan as planning
from mechsteer.planning import shortages as short
from mechsteer.planning.record import Plan
from mechsteer.recording import record
from mechsteer.studies.measurements import measure

TARGETS = ("fra_Latn", "rus_Cyrl")


@pytest.fixture(scope="module")
def text(corpus: Any) -> ms.ParallelCorpus:
    return ms.ParallelCorpus({code: texts[:6] for code, texts in corpus.sentences.items()})


@pytest.fixture(scope="module")
def made(bridge: Callable[..., Any], text: ms.ParallelCorpus) -> Plan:
    return ms.plan(bridge("llama"), text, targets=TARGETS, ks=[5], seeds=[0, 1], batch_tokens=64)


def test_what_is_counted_is_what_is_recorded(
    made: Plan, bridge: Callable[..., Any], text: ms.ParallelCorpus, tmp_path: Path
) -> None:
    model = bridge("llama")
    recording = record(
        model, text, pooling=("max", "mean"), embeddings=True, batch_tokens=64, directory=tmp_path
    )
    assert (made.sentences, made.languages) == (18, 3)
    assert made.tokens == sum(len(model.plain_tokenizer(t)["input_ids"]) for t in text.flatten()[0])
    assert made.neurons == recording.site.n_neurons
    assert made.parameters == sum(p.numel() for p in model.original_model.parameters())
    shards = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert made["record"].disk == pytest.approx(shards, rel=0.1)
    state = tmp_path / "state.safetensors"
    measure(recording.embeddings_by_language()).save(state, "")
    assert made["measure a state"].disk == pytest.approx(state.stat().st_size, abs=2000)


def test_stages_add_up_to_the_whole(made: Plan) -> None:
    """A base, two targets at one dose, two seeds of each: 7 states that run, 3 applied."""
    assert made.states == 7 + 3
    record_, score, embed, measure_, whole = made.stages
    expected = record_.seconds + score.seconds + 7 * embed.seconds + 10 * measure_.seconds
    assert whole.seconds == pytest.approx(expected)
    assert whole.flops == record_.flops + 7 * embed.flops
    assert whole.disk == record_.disk + score.disk + 10 * measure_.disk
    assert all(stage.seconds > 0 for stage in made.stages)
    assert made.shortages == ()
    made.require_room()
    assert json.loads(json.dumps(made.as_dict()))["memory"] == made.memory
    assert list(made.table()["name"]) == [stage.name for stage in made.stages]


def test_operations_by_hand(made: Plan, bridge: Callable[..., Any], text: Any) -> None:
    """Two a weight of every block's matrices and token, four a query's width and pair of tokens."""
    model = bridge("llama")
    blocks = [p.numel() for n, p in model.original_model.named_parameters() if ".layers." in n]
    matrices = sum(n for n in blocks if n > model.cfg.d_model)
    config = model.original_model.config
    from mechsteer.recording.batches import plan_batches

    batches = plan_batches(text, model.plain_tokenizer, context=64, batch_tokens=64)
    shapes = [batches.batch(i).ids.shape for i in range(len(batches.batches))]
    tokens = sum(rows * width for rows, width in shapes)
    squares = sum(rows * width**2 for rows, width in shapes)
    queries = config.num_hidden_layers * config.hidden_size
    assert made["record"].flops == 2 * matrices * tokens + 4 * queries * squares
    assert made.padded == tokens


def test_a_configuration_alone_has_the_sizes_of_the_model(
    made: Plan, checkpoint: Callable[..., Path], text: Any, tmp_path: Path
) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((checkpoint("llama") / name).read_bytes())
    alone = ms.plan(tmp_path, text, targets=TARGETS, ks=[5], seeds=[0, 1], batch_tokens=64)
    assert alone["record"].basis.startswith("simulated: 50% assumed of ")
    assert alone["score"].basis == "measured here"
    same = [field for field in vars(made) if field not in ("model", "device", "stages")]
    assert [getattr(alone, name) for name in same] == [getattr(made, name) for name in same]
    for one, other in zip(alone.stages, made.stages, strict=True):
        assert (one.flops, one.disk, one.memory) == (other.flops, other.disk, other.memory)


def test_ranks_share_what_can_be_shared(checkpoint: Any, text: Any, monkeypatch: Any) -> None:
    steady_rates(monkeypatch)
    plans = [
        ms.plan(checkpoint("llama"), text, gpu="h100", ranks=ranks, states=8, batch_tokens=64)
        for ranks in (1, 2, 4)
    ]
    assert plans[0].device == "H100"
    for stage in ("record", "score"):
        times = [plan[stage].seconds for plan in plans]
        assert times[0] > times[1] > times[2]
    assert len({plan["embed a state"].seconds for plan in plans}) == 1
    each = plans[0]["embed a state"].seconds + plans[0]["measure a state"].seconds
    for plan, turns in zip(plans, (8, 4, 2), strict=True):
        once = plan["record"].seconds + plan["score"].seconds
        assert plan["whole run"].seconds == pytest.approx(once + turns * each)


def steady_rates(monkeypatch: Any) -> None:
    """What is measured takes the same time in every plan."""
    from mechsteer.planning import published
    from mechsteer.planning.rates import Spent

    same = Spent(1e-9, 1e-9), Spent(2e-9, 2e-9)
    monkeypatch.setattr(published, "scoring", lambda *_: same)
    monkeypatch.setattr(published, "measuring", lambda *_: same)


@pytest.fixture
def small(monkeypatch: Any) -> Iterator[Callable[..., None]]:
    """A machine with so much of memory and disk."""

    def give(*, memory: int = 1 << 40, disk: int = 1 << 40) -> None:
        monkeypatch.setattr(short, "available_memory", lambda: memory)
        monkeypatch.setattr(short, "free_disk", lambda folder: disk)

    yield give


@pytest.mark.parametrize(
    ("room", "options", "expected"),
    [
        ({"disk": 1000}, {}, r"1 kB of disk are free, and the run leaves \d+\.?\d* kB: take"),
        ({}, {"disk": "1MB", "states": 900}, r"1 MB of disk are free, and the run leaves \d"),
        ({"memory": 10**6}, {}, r"1 MB of memory are free, and '.*' takes \d+ MB: give --memory"),
        ({"memory": 10**9}, {"ranks": 2}, r"1 GB of memory are free, .* takes [\d.]+ GB in 2 rank"),
        ({}, {"memory": "700MB"}, r"--memory is 700 MB, and '.*' takes \d+ MB beside the model"),
    ],
)
def test_what_falls_short_is_refused_in_one_line(  # noqa: PLR0917
    checkpoint: Any, text: Any, small: Any, room: Any, options: Any, expected: str
) -> None:
    small(**room)
    folder = checkpoint("llama")
    with pytest.MonkeyPatch.context() as patch:  # as if there were no weights
        patch.setattr(planning, "is_configuration", lambda source: True)
        lacking = ms.plan(folder, text, **{"states": 1} | options)
    with pytest.raises(MechsteerError, match=expected):
        lacking.require_room()


def test_a_device_too_small_for_the_model_is_refused(text: Any) -> None:
    folder = Path("experiments/scale/llama-3.1-8b")
    fits, none = (ms.plan(folder, text, gpu=gpu, states=1) for gpu in ("A100", "T4"))
    assert fits.parameters == 8_030_261_248  # as its card has it
    assert fits.neurons == 32 * 14336
    fits.require_room()
    with pytest.raises(MechsteerError, match=r"T4 has 16 GB of memory, and the weights and one b"):
        none.require_room()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gpu": "K80"}, "--gpu: no published rates of 'K80' here, expected one of T4"),
        ({"ranks": 0}, "ranks: expected a whole number of at least 1, got 0"),
        ({"states": -1}, "states: expected a whole number of at least 1, got -1"),
        ({"site": "linear", "gpu": "H100"}, "a configuration alone does not say what neurons"),
        ({"batch_token": 1}, "unknown option 'batch_token'"),
    ],
)
def test_what_cannot_be_planned_is_said(
    checkpoint: Any, text: Any, options: Any, expected: str
) -> None:
    with pytest.raises(MechsteerError, match=expected):
        ms.plan(checkpoint("llama"), text, **options)


def test_text_that_is_not_parallel_is_recorded_and_scored(bridge: Any, corpus: Any) -> None:
    found = ms.plan(bridge("llama"), corpus)
    assert [stage.name for stage in found.stages] == ["record", "score", "whole run"]
    assert found.states == 0


def test_the_command_prints_a_plan_and_fails_where_something_falls_short(small: Any) -> None:
    folder = "experiments/scale/llama-3.1-8b"
    asked = ["plan", folder, "--corpus", "embedded", "--split", "dev", "--limit", "2"]
    small()
    good = CliRunner().invoke(cli, [*asked, "--gpu", "h100", "--ranks", "8"])
    assert good.exit_code == 0, good.output
    assert "8 x H100" in good.output and "35% assumed of the published peak" in good.output
    machine = CliRunner().invoke(cli, [*asked, "--gpu", "h100", "--json"])
    assert json.loads(machine.output)["parameters"] == 8_030_261_248
    bad = CliRunner().invoke(cli, [*asked, "--gpu", "t4"])
    assert isinstance(bad.exception, MechsteerError)
