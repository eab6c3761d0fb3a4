"""The report: one self-contained HTML file that opens from disk and needs no network."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.effects import effects
from mechsteer.reporting.facts import name_of
from mechsteer.reporting.headline import headline, measure
from mechsteer.reporting.names import brief
from mechsteer.reporting.sections import SECTIONS
from mechsteer.reporting.settled import checked
from mechsteer.reporting.svg import CLASSES

__all__ = ["ReportData", "render", "write_report"]

SCRIPTS = ("tables", "filters", "pictures", "state")  # templates/NAME.js, one after the other


def render(data: ReportData) -> str:
    """The page as HTML text; equal data give equal bytes.

    Raises:
        ArtifactError: when a table lacks a column or is empty.
    """
    data = checked(data)
    main = effects(data)
    return assemble(
        title=f"{brief(name_of(data.manifest.get('model', 'a model')))}: steering language experts",
        headline=headline(data.edits, main),
        measure=measure(data.confidence, main),
        n_layers=data.n_layers,
        sections=[
            (section, fill(f"sections/{section.key}.html", **made))
            for section in SECTIONS
            if (made := section.made(data)) is not None
        ],
    )


def write_report(data: ReportData, path: str | Path) -> Path:
    """Render and write the page; an existing file is replaced in one step."""
    path = Path(path)
    write_bytes(path, render(data).encode())
    return path


def assemble(**parts: Any) -> str:
    """A whole page: title, headline and sections between its style and its script."""
    folder = files("mechsteer.reporting").joinpath("templates")
    code = "".join(folder.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n{code}'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = fill(
        "page.html", script=Markup(script), script_hash=digest, svg_classes=CLASSES, **parts
    )
    # NUL and lone surrogates have no place in an HTML file: show that something stood there.
    return html.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def fill(template: str, **names: Any) -> Markup:
    """A template with its names filled in, everything escaped."""
    environment = Environment(
        loader=PackageLoader("mechsteer.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return Markup(environment.get_template(template).render(**names))
