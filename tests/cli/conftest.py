"""Commands, run in the test's own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mechsteer.cli import cli
from mechsteer.cli.entry import _run


@pytest.fixture
def mechsteer(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command in this process; the output of one that succeeds, else its error."""

    def run(*args: str, code: int = 0) -> str:
        capsys.readouterr()
        found = _run(lambda: cli.main(list(args), standalone_mode=False), debug=False)
        output, errors = capsys.readouterr()
        assert found == code, errors
        return errors if code else output

    return run
