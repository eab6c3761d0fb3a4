"""Pages as a parser and as a browser see them; names that would break one.

Chromium is Debian's (``apt-get install chromium fonts-noto-cjk``); nothing is downloaded.
"""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\u202e<b>evil\u2066 $x_{$ \\frac",
    "👩🏽‍🔬" * 9 + " مرحبا",
    "=cmd|' /C calc'!A0, \"nul\0 and\r\ncontrols\x1b",
    "w" * 100_000,
    "{{ 7 * 7 }}{% raw %}",
)
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Every element with its attributes; refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.words)


class Watched:
    """A page on a screen of some width, with all it says and all it asks the network for."""

    def __init__(
        self,
        browser: Any,
        path: Path,
        *,
        width: int = 1440,
        scheme: str = "light",
        **options: Any,
    ):
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    @property
    def requests(self) -> list[str]:
        """What was asked for, but for the page itself and what it holds in its own text."""
        own = ("data:", "blob:", self.page.url.partition("#")[0])
        return [address for address in self.asked if not address.startswith(own)]


def open_all(page: Any) -> None:
    """Unfold everything, and turn all data into tables."""
    page.eval_on_selector_all("main details", "all => all.forEach(one => one.open = true)")
    page.wait_for_function("!document.querySelector('pre.csv')")


def visible_rows(page: Any, section: str) -> list[str]:
    """Cells of the rows shown, a line each."""
    return page.locator(f"#{section} table.sortable tbody tr:visible").all_inner_texts()


def barriers(page: Any) -> list[tuple[str, str, str]]:
    """Everything that axe-core finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    return [
        (rule["id"], rule["impact"], rule["nodes"][0]["html"][:200])
        for rule in axe.Axe().run(page).response["violations"]
    ]
