"""What is said on a terminal while something takes long."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from inspect import isfunction, ismodule, signature
from time import sleep
from typing import Any

import pytest

import mechsteer as ms
from mechsteer.model import load
from mechsteer.progress import bars, hidden, stage


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(after: float, seconds: float, log: io.StringIO) -> str:
    with redirect_stderr(log), stage("waiting", after=after):
        assert not log.getvalue() or not after
        sleep(seconds)
    return log.getvalue()


def test_what_takes_long_is_said_where_somebody_watches() -> None:
    assert "waiting (00:00)" in said(0.05, 0.5, Terminal())
    assert "waiting (00:00)" in said(0, 0.5, Terminal())
    assert not said(0, 0.3, io.StringIO())


def test_what_does_not_is_not() -> None:
    assert not said(60, 0, Terminal())


def test_a_model_that_takes_long_to_load_says_so(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Any
) -> None:
    folder, terminal = checkpoint("llama"), Terminal()
    monkeypatch.setattr(load, "_SILENT", 0.0)
    with redirect_stderr(terminal):
        load.load_model(folder, device="cpu")
    assert f"loading {folder}" in terminal.getvalue()


# whatever may show a bar beside what takes a model
VERBS: tuple[Any, ...] = (
    *(ms.load_model, ms.record, ms.embed, ms.score, ms.study, ms.transfer, ms.plan, ms.self_test),
    *(ms.cost, ms.perplexity, ms.costs.compare, ms.cards.make_cards, ms.exports.checkpoint),
    *(ms.experts.score_recording, ms.experts.significance_of, ms.experts.by_significance),
    *(ms.experts.survival, ms.experts.top_of_recording, ms.steering.embed_steered),
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_whatever_takes_long_can_be_silent(verb: Any) -> None:
    assert signature(verb).parameters["progress"].default is True


def test_whatever_takes_a_model_can_be_silent() -> None:
    """All but what takes no time, once there is a model."""
    rooms = (getattr(ms, name) for name in dir(ms))
    public = [ms, *(room for room in rooms if ismodule(room))]
    functions = {
        value
        for room in public
        for value in (getattr(room, name) for name in getattr(room, "__all__", dir(room)))
        if isfunction(value)
    }
    takes = {f for f in functions if "ModelLike" in str(signature(f).parameters.get("model"))}
    silent = {f for f in functions if "progress" in signature(f).parameters}
    assert len(takes) > 15
    assert takes - silent == {
        *(ms.steer, ms.steering.state_of, ms.model.find_site, ms.model.site_table),
        *(ms.diffmean, ms.centring, ms.interventions.recover),
        *(ms.interventions.linear_map, ms.interventions.remove_subspace),
    }


def test_a_verb_that_is_silent_keeps_silent_all_that_it_calls(bridge: Any) -> None:
    corpus = {"fra_Latn": ["le chat", "un chien"], "eng_Latn": ["the cat", "a dog"]}
    for show in (True, False):
        terminal = Terminal()
        with redirect_stderr(terminal):
            ms.score(bridge("llama"), corpus, progress=show)
        assert ("recording" in terminal.getvalue(), "scoring" in terminal.getvalue()) == (
            show,
            show,
        )


def test_silence_is_kept_within_and_ends() -> None:
    with bars(show=False), bars(show=True):
        assert hidden() is True
    assert hidden() is None
