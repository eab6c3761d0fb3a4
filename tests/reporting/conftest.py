"""One synthetic study, its page and a browser, each made once for all tests of reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mechsteer.reporting import ReportData, render
from mechsteer.reporting.compare import write_comparison
from mechsteer.reporting.runs import Compared
from mechsteer.reporting.settled import checked
from mechsteer.reporting.write import report_data
from mechsteer.studies.beside import Side
from tests.reporting.profits import similarity, transfer
from tests.reporting.screens import CHROMIUM, FLAGS, HOSTILE, Page, Watched
from tests.reporting.synthetic import LANGUAGES, called, synthetic
from tests.studies.made import Model, made_study, text


@pytest.fixture(scope="session")
def data() -> ReportData:
    return synthetic()


@pytest.fixture(scope="session")
def make() -> Callable[..., ReportData]:
    """Synthetic data of any size."""
    return synthetic


@pytest.fixture(scope="session")
def small() -> ReportData:
    """Three languages, one of them steered: quick to render."""
    return synthetic(LANGUAGES[:3], steered=("fra_Latn",), n_layers=3)


def made(name: str, folder: Path, site: str = "post", **options: object) -> Compared:
    """A study of a model that does not exist, as a run to be compared."""
    study = made_study(folder=folder, seeds=[0], targets=["fra_Latn"], **options)
    manifest = {"inputs": {"site": site, "pooling": "max"}}
    return Compared(
        Side(name, study, folder / "test"), f"runs/{name}", manifest, checked(report_data(study))
    )


@pytest.fixture(scope="session")
def whole(data: ReportData) -> ReportData:
    """With all sections."""
    languages = LANGUAGES[:8]
    return replace(data, similarity=similarity(languages), transfer=transfer(languages[:4]))


@pytest.fixture(scope="session")
def html(whole: ReportData) -> str:
    """Its page."""
    return render(whole)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    """Its elements."""
    return Page(html)


@pytest.fixture(scope="session")
def path(html: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the page."""
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(html, encoding="utf-8", newline="")
    return file


@pytest.fixture(scope="session")
def hostile() -> str:
    """A page whose every name is hostile."""
    return render(called(HOSTILE))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium fonts-noto-cjk")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def still(browser: Any, path: Path) -> Iterator[Watched]:
    """The page on a wide screen, for tests that only look at it."""
    with Watched(browser, path) as watched:
        yield watched


@pytest.fixture
def wide(browser: Any, path: Path) -> Iterator[Watched]:
    """The page on a wide screen, for a test that uses it."""
    with Watched(browser, path) as watched:
        yield watched


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Compared]:
    """Two studies of the same sentences, and one of others."""
    return [
        made("a<b>", tmp_path_factory.mktemp("a"), model=Model(0), ks=[4]),
        made("b", tmp_path_factory.mktemp("b"), model=Model(1), ks=[9], site="linear"),
        made("c", tmp_path_factory.mktemp("c"), ks=[4], test=text("test", n=17)),
    ]


@pytest.fixture(scope="session")
def comparison(runs: list[Compared], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of all three."""
    file: Path = tmp_path_factory.mktemp("comparison") / "compare.html"
    return write_comparison(runs, file, command="mechsteer compare a b c")
