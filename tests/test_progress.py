"""What is said on a terminal while something takes long."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from time import sleep
from typing import Any

import pytest

from mechsteer.model import load
from mechsteer.progress import stage


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
