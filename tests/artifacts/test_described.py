"""Tables that are not those that were to be written are refused, whatever they lead to."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mechsteer.artifacts.described import fitting
from mechsteer.errors import ArtifactError, CorpusError


@pytest.mark.parametrize("made", [lambda t: t["b"], lambda t: t.b, lambda t: t["a"].max() + 1])
def test_what_goes_wrong_with_tables_is_a_refusal(made) -> None:
    table = pd.DataFrame({"a": ["x", "y"]})
    not_those = pytest.raises(ArtifactError, match="the tables in run are not those")
    with not_those as refused, fitting(Path("run")):
        made(table)
    assert "\n" not in str(refused.value)


def test_refusals_and_interrupts_pass() -> None:
    with pytest.raises(CorpusError), fitting("run"):
        raise CorpusError("x")
    with pytest.raises(KeyboardInterrupt), fitting("run"):
        raise KeyboardInterrupt
