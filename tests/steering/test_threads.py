"""Two threads on one model: each gets what it would alone, or a refusal, and never a mixture."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Barrier, Event, Thread
from typing import Any

import pytest
import torch

import mechsteer as ms
from mechsteer.costs import sample
from mechsteer.errors import ModelError
from mechsteer.recording import embed, record
from mechsteer.steering import steer

BATCH = 60


def equal(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else bool(a == b)


@pytest.fixture(autouse=True)
def hasty() -> Iterator[None]:
    """Threads that change places far more often than usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(scope="module")
def uses(bridge: Any, corpus: Any) -> dict[str, Callable[[], Any]]:
    """What people do with a model, each giving the same each time."""
    model = bridge("llama")
    experts = ms.score(model, corpus).top("fra_Latn", 60)
    edit, words = ms.clamp(experts), "the cat sat on the mat"
    ids = torch.tensor([model.plain_tokenizer(words)["input_ids"]])

    def embedded() -> torch.Tensor:
        found = embed(model, corpus, batch_tokens=BATCH, progress=False)
        return torch.cat([x.flatten() for x in found.values()])

    @torch.inference_mode()
    def logits() -> torch.Tensor:
        return model(ids).flatten()

    def written() -> str:
        return sample(model, prompt=words, max_new_tokens=5, seed=3).texts[0]

    def steered(act: Callable[[], Any], **where: Any) -> Callable[[], Any]:
        def run() -> Any:
            with steer(model, edit, **where):
                return act()

        return run

    def recorded() -> torch.Tensor:
        return record(model, corpus, batch_tokens=BATCH, progress=False).activations(1)

    plain = {"embed": embedded, "record": recorded, "logits": logits, "write": written}
    return plain | {
        "steer and embed": steered(embedded, positions="content"),
        "steer and logits": steered(logits, positions="last"),
        "steer and write": steered(written, positions="generated"),
    }


def test_two_threads_never_mix(uses: dict[str, Callable[[], Any]]) -> None:
    expected = {name: use() for name, use in uses.items()}
    pairs = [*product(uses, repeat=2)]
    meeting = Barrier(2)

    def work(side: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for pair in pairs:
            name = pair[side]
            meeting.wait()
            try:
                same = equal(uses[name](), expected[name])
                found["alone" if same else f"mixed: {pair}, {name}"] += 1
            except ModelError as error:
                assert "another thread steers this model" in str(error)
                found["refused"] += 1
        return found

    with ThreadPoolExecutor(2) as pool:
        found = sum(pool.map(work, (0, 1)), Counter[str]())
    assert set(found) <= {"alone", "refused"}, found
    assert found["alone"] >= len(pairs)
    assert all(equal(use(), expected[name]) for name, use in uses.items())


@pytest.mark.parametrize("name", ["embed", "record", "logits", "write", "steer and embed"])
def test_a_model_that_another_thread_steers_is_refused(
    bridge: Any, uses: dict[str, Callable[[], Any]], corpus: Any, name: str
) -> None:
    opened, done = Event(), Event()
    edit = ms.clamp(ms.score(bridge("llama"), corpus).top("fra_Latn", 60))

    def hold() -> None:
        with steer(bridge("llama"), edit):
            bridge("llama")(torch.tensor([[1, 2, 3]]))
            opened.set()
            done.wait(60)

    holder = Thread(target=hold)
    holder.start()
    try:
        assert opened.wait(60)
        with pytest.raises(ModelError, match="another thread steers this model"):
            uses[name]()
    finally:
        done.set()
        holder.join()
    uses[name]()
