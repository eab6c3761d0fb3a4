"""Numbers that no option can mean are refused by name before a file is looked for."""

from __future__ import annotations

import click
import pytest

from mechsteer.cli.parse.group import cli

EDITED = ["embedded", "--edit", "none.edit"]
COMMANDS = {
    "select": ["none", "--language", "fra"],
    "edit": ["none", "--language", "fra", "--k", "3", "-o", "none.edit"],
    "generate": EDITED,
    "cost": [*EDITED, "--corpus", "none.txt", "--language", "fra"],
    "cards": ["none"],
    "study": ["none", "--test", "embedded"],
    "score": ["embedded", "--corpus", "none", "-o", "none"],
    "probe": ["none"],
    "check": ["embedded"],
    "bench": [],
}
REFUSED = {
    "select": {"--k": "0", "--fdr": "nan", "--min-effect": "nan", "--draws": "0"},
    "edit": {"--k": "1.5", "--strength": "nan"},
    "generate": {
        "--strength": "inf", "--positions": "first", "--dtype": "float8", "--temperature": "nan",
        "--top-p": "0", "--seed": "-1", "--max-new-tokens": "0",
    },
    "cost": {"--strength": "nan", "--n": "0", "--seeds": "0", "--dtype": "x"},
    "cards": {"--top": "-1"},
    "study": {
        "--k": "nan", "--strength": "1,inf", "--seeds": "99999999", "--tune": "1.5", "--limit": "0",
    },
    "probe": {
        "--k": "nan", "--copies": "x", "--least": "nan", "--seed": "-1", "--resamples": "20",
        "--by": "", "--within": "none", "--languages": "",
    },
    "check": {"--dtype": "float8"},
    "bench": {"--device": "gpu"},
    "score": {"--limit": "1", "--batch-tokens": "9223372036854775808", "--rows": "5:1"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "flag", "value"),
    [(name, flag, value) for name, own in REFUSED.items() for flag, value in own.items()],
)
def test_what_an_option_cannot_mean_is_wrong_usage(command: str, flag: str, value: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        cli.main([command, *COMMANDS[command], f"{flag}={value}"], standalone_mode=False)
    assert flag in refused.value.format_message()


PATHS = {
    "report": ["{}"], "cards": ["{}"], "select": ["{}", "--language", "fra", "--k", "5"],
    "study": ["{}", "--test", "embedded"], "probe": ["{}"], "demo": ["-o", "{}"],
    "edit": ["none", "--language", "fra", "--k", "3", "-o", "{}"],
    "cost": [*EDITED, "--corpus", "{}", "--language", "fra"],
    "score": ["embedded", "--corpus", "embedded", "-o", "{}"],
}  # fmt: skip


@pytest.mark.parametrize(
    "path", ["\0", "x" * 256, "y/" * 3000, "é" * 128], ids=lambda p: repr(p)[:6]
)
@pytest.mark.parametrize("command", PATHS)
def test_a_path_that_cannot_be_is_wrong_usage(command: str, path: str) -> None:
    words = [word.format(path) for word in PATHS[command]]
    with pytest.raises(click.BadParameter, match="expected a path") as refused:
        cli.main([command, *words], standalone_mode=False)
    assert len(refused.value.format_message()) < 200


@pytest.mark.parametrize(
    "name", ["\0", "x" * 256, "owner/" + "y" * 5000], ids=lambda p: repr(p)[:6]
)
def test_a_model_that_cannot_be_named_so_is_refused(name: str) -> None:
    from mechsteer.errors import ModelError
    from mechsteer.model.load import load_model

    with pytest.raises(ModelError, match="expected a model's name or a folder") as refused:
        load_model(name)
    assert len(str(refused.value)) < 200
