from __future__ import annotations

import pandas as pd
import pytest

from mechsteer.reporting.headline import headline, outcome

GAIN, LOSS, UNDECIDED, STILL = (
    (0.05, 0.02, 0.08),
    (-0.03, -0.05, -0.01),
    (0.01, -0.1, 0.1),
    (0,) * 3,
)
LUCK = (0.0, -0.01, 0.01)


def said(*rows: tuple[str, str, tuple], edits: tuple[str, ...] = ("clamp",)) -> str:
    """The headline of rows (kind, language, (value, low, high)) at the best layer.

    What stands at the last block must not be read.
    """
    found = [
        (kind, "clamp" if kind in ("edit", "random") else "", language, *ends, 3, "best_layer")
        for kind, language, ends in rows
    ]
    found += [("edit", "clamp", "fra", 0.9, 0.8, 1.0, 1, "last_block")]
    columns = ["kind", "edit", "language", "value", "low", "high", "seeds", "place"]
    return headline(edits, pd.DataFrame(found, columns=columns))


CASES = {
    "Clamping did not align; centring gained 5.0 points": [
        ("edit", "fra", UNDECIDED), ("edit", "jpn", LOSS), ("centring", "fra", GAIN),
        ("centring", "jpn", GAIN), ("random", "fra", UNDECIDED),
    ],
    "Clamping gained 5.0 points; centring lost 3.0 points": [
        ("edit", "fra", GAIN), ("centring", "fra", LOSS), ("random", "fra", LUCK),
    ],
    "Clamping gained 5.0 points, no more than random neurons; centring did not align": [
        ("edit", "fra", GAIN), ("centring", "fra", UNDECIDED), ("random", "fra", (0.0, -0.1, 0.05)),
    ],
    "Clamping gained for 1 and lost for 1 of 2 languages; random neurons did not align": [
        ("edit", "fra", GAIN), ("edit", "jpn", LOSS),
        ("random", "fra", LUCK), ("random", "jpn", LUCK),
    ],
    "Clamping lost 3.0 points; no control was run": [("edit", "fra", LOSS)],
    "Clamping changed nothing; centring gained 5.0 points": [
        ("edit", "fra", STILL), ("centring", "fra", GAIN),
    ],
    "Clamping did not align; neither did centring": [
        ("edit", "fra", UNDECIDED), ("centring", "fra", UNDECIDED),
    ],
    "Clamping did not align; neither did random neurons": [
        ("edit", "fra", UNDECIDED), ("random", "fra", LUCK),
    ],
    "Clamping gained for 1 of 2 languages; centring gained 2.0 to 5.0 points": [
        ("edit", "fra", GAIN), ("edit", "jpn", UNDECIDED),
        ("centring", "fra", GAIN), ("centring", "jpn", (0.02, 0.01, 0.03)),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("line", "rows"), CASES.items(), ids=str)
def test_the_headline_follows_the_intervals(line: str, rows: list) -> None:
    assert said(*rows) == line


def test_without_an_edit_it_says_so() -> None:
    assert said(("centring", "", GAIN), edits=()) == "No edit was run; centring gained 5.0 points"
    assert said(edits=()) == "No edit was run"


def test_another_edit_is_named() -> None:
    table = pd.DataFrame(
        [("edit", "shift", "fra", *GAIN, 1, "last_block")],
        columns=["kind", "edit", "language", "value", "low", "high", "seeds", "place"],
    )
    found = headline(["shift"], table)
    assert found == "“shift” gained 5.0 points; no control was run"
    assert headline(["x"], table) == "“x” was not measured"


def test_a_value_without_an_interval_is_no_gain() -> None:
    rows = pd.DataFrame({"value": [0.0123], "low": [float("nan")], "high": [float("nan")]})
    assert outcome(rows) == "moved +1.2 points, without an interval"


def test_a_tiny_gain_is_not_shown_as_zero() -> None:
    rows = pd.DataFrame({"value": [0.0003], "low": [0.0001], "high": [0.0005]})
    assert outcome(rows) == "gained 0.03 points"
