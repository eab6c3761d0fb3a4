"""Numbers as people and machines read them: never NaN, never a signed zero."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from mechsteer.cli.show.terminal import print_json, print_table
from mechsteer.costs.measure import _interval
from mechsteer.display import number

NAN = float("nan")


@pytest.mark.parametrize(
    ("x", "form", "text"),
    [
        (0.5, ".3f", "0.500"), (-0.0, ".3f", "0.000"), (-0.0004, ".3f", "0.000"),
        (-0.0006, ".3f", "-0.001"), (-1e-9, "+.1f", "0.0"), (NAN, ".1%", "–"), (None, ".3f", "–"),
        (-0.0, ".4g", "0"), (-1e-9, ".4g", "-1e-09"), (float("-inf"), ".3f", "-inf"),
        (12345.6, ",.0f", "12,346"), (-0.001, ".0%", "0%"),
    ],
)  # fmt: skip
def test_numbers_have_no_nan_and_no_signed_zero(x: float | None, form: str, text: str) -> None:
    assert number(x, form) == text


def test_tables_and_json_have_none_either(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"name": ["a", None], "value": [-0.00001, NAN], "k": [1, 2]})
    print_table(frame, "numbers")
    said = capsys.readouterr().out
    assert "nan" not in said.lower() and "-0.000" not in said and "–" in said
    print_json({"rows": frame.to_dict("records"), "zero": [-0.0], "é": (1, True)})
    said = capsys.readouterr().out
    assert "NaN" not in said and "-0.0" not in said.replace("-1e-05", "") and "é" in said
    assert json.loads(said)["rows"][1]["value"] is None


@pytest.mark.parametrize("values", [[0.99, 1.0, 0.8], [0.0, 0.02, 0.3], [1.0, 1.0], [0.0, 1.0]])
def test_intervals_of_shares_stay_within_0_and_1(values: list[float]) -> None:
    mean, low, high = _interval(values)
    assert 0 <= low <= mean <= high <= 1
