"""``batch_tokens="auto"``: a number that fits the memory, found once and then recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer import machine
from mechsteer.errors import ModelError
from mechsteer.recording import Reading, batch_size, embed, record
from mechsteer.recording.batch_size import activation_bytes, halved
from mechsteer.recording.batches import plan_batches
from mechsteer.recording.points import points_to_read, residual_rows


@pytest.fixture
def small_device(bridge: Callable[..., Any], monkeypatch: Any) -> Iterator[Callable[[int], Any]]:
    """A model that runs out of memory above a number of tokens; what it ran is in ``.ran``."""
    model = bridge("llama")
    handles = []

    def limited(most: int) -> Any:
        model.ran = []

        def run(module: Any, args: tuple[Any, ...]) -> None:
            (ids,) = args[:1]
            model.ran.append(tuple(ids.shape))
            if ids.numel() > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

        handles.append(model.original_model.get_input_embeddings().register_forward_pre_hook(run))
        return model

    monkeypatch.setattr(batch_size, "budget_of", lambda model: None)  # as on a GPU
    yield limited
    for handle in handles:
        handle.remove()
    vars(model).pop("ran", None)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("most", [64, 100, 128, 200])
def test_a_device_out_of_memory_halves_until_the_longest_batches_run(
    small_device: Callable[[int], Any], corpus: Any, tmp_path: Path, most: int
) -> None:
    model = small_device(most)
    recording = record(model, corpus, directory=tmp_path / "auto", batch_tokens="auto")
    # the largest power of two whose batches, padding included, fit
    assert recording.batch_tokens == 1 << (most.bit_length() - 1)
    assert max(n * width for n, width in model.ran[-len(list(tmp_path.glob("auto/0*"))) :]) <= most
    assert (28, max(width for _, width in model.ran)) in model.ran  # all at once comes first
    # the number, not "auto", determines the bytes
    record(model, corpus, directory=tmp_path / "number", batch_tokens=recording.batch_tokens)
    assert content(tmp_path / "auto") == content(tmp_path / "number")


def test_a_recording_keeps_its_number_where_there_is_more_memory(
    small_device: Callable[[int], Any], corpus: Any, tmp_path: Path
) -> None:
    first = record(small_device(70), corpus, directory=tmp_path, batch_tokens="auto")
    shards = sorted(tmp_path.glob("0*"))
    kept = content(tmp_path)
    shards[1].unlink()
    model = small_device(1 << 20)  # resumed on a larger machine
    again = record(model, corpus, directory=tmp_path, batch_tokens="auto")
    assert again.batch_tokens == first.batch_tokens == 64
    assert content(tmp_path) == kept
    assert json.loads(kept["plan.json"])["batch_tokens"] == 64


def test_a_sentence_too_long_for_the_device_is_said_in_one_line(
    small_device: Callable[[int], Any], corpus: Any
) -> None:
    with pytest.raises(ModelError, match=r"out of memory on the longest sentence alone, of \d+ to"):
        embed(small_device(3), corpus, batch_tokens="auto")


def test_another_failure_is_not_taken_for_a_lack_of_memory(bridge: Any, corpus: Any) -> None:
    model = bridge("llama")
    plan = plan_batches(corpus, model.plain_tokenizer, context=64)
    read = points_to_read(model, (), ("mean",), residual_rows(model), firing=False)

    def fail(*_: Any) -> None:
        raise RuntimeError("no kernel image")

    handle = model.original_model.get_input_embeddings().register_forward_pre_hook(fail)
    try:
        with pytest.raises(ModelError, match="no kernel image"):
            batch_size._runs(plan, model, read)
    finally:
        handle.remove()


def test_a_processor_halves_the_usual_number_to_its_budget(
    bridge: Any, corpus: Any, monkeypatch: Any
) -> None:
    model = bridge("llama")
    plan = plan_batches(corpus, model.plain_tokenizer, context=64)
    read = points_to_read(model, (), ("mean",), residual_rows(model), firing=False)
    chosen = []
    for share in (1, 2, 4):
        need = activation_bytes(plan, model, read)
        monkeypatch.setattr(batch_size, "available_memory", lambda n=need, s=share: 4 * n // s)
        chosen.append(embed_size(model, corpus))
    assert chosen[0] == 1024 > chosen[1] >= chosen[2] >= 32


def embed_size(model: Any, corpus: Any) -> int:
    return record(model, corpus, layers=(), embeddings=True, batch_tokens="auto").batch_tokens


def test_the_estimate_counts_attention_by_the_square(bridge: Any) -> None:
    """By hand: 8 d + 4 w numbers a token and 3 heads · longest more, 4 bytes each."""
    model = bridge("llama")
    text = ms.LabelledCorpus({"eng_Latn": ["the cat " * 9, "the"]})
    plan = plan_batches(text, model.plain_tokenizer, context=64).divided(1)
    read = points_to_read(model, (), ("mean",), residual_rows(model), firing=False)
    n, d, heads = max(plan.lengths), model.cfg.d_model, model.cfg.n_heads
    assert activation_bytes(plan, model, read) == 4 * n * (12 * d + 3 * heads * n)


def test_halving_ends_at_the_longest_sentence(bridge: Any, corpus: Any) -> None:
    plan = plan_batches(corpus, bridge("llama").plain_tokenizer, context=64)
    longest = max(plan.lengths)
    found = halved(plan, 1024, lambda _: False)
    assert longest / 2 < found.batch_tokens <= longest


def test_auto_is_a_number_or_the_word() -> None:
    assert Reading("auto").settled(7) == Reading(7).settled(9) == Reading(7)
    assert Reading("auto").number == 1024
    with pytest.raises(ms.MechsteerError, match=r"'auto' or a whole number of at least 1, got 'Au"):
        Reading(batch_tokens="Auto")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [({}, 5 << 20), ({"memory.max": "max", "memory.current": "1"}, 5 << 20),
     ({"memory.max": "3145728", "memory.current": "1048576"}, 2 << 20),
     ({"memory.max": "5", "memory.current": "9"}, 0)],
)  # fmt: skip
def test_free_memory_is_what_the_system_and_its_limits_leave(
    monkeypatch: Any, tmp_path: Path, limits: dict[str, str], expected: int
) -> None:
    for name, text in limits.items():
        (tmp_path / name).write_text(text + "\n")
    monkeypatch.setattr(machine, "_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "_meminfo", lambda: 5 << 20)
    assert machine.available_memory() == expected
