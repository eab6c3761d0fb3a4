"""A matplotlib figure as inline SVG: the same bytes every time, in the colours of the page."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from mechsteer import plots

# The palette as CSS variables, so that a dark page can lighten it; the ink is that of the text.
PAGE_COLOURS = {
    plots.INK: "currentColor",
    plots.BLUE: "var(--blue)",
    plots.GREEN: "var(--green)",
    plots.VERMILLION: "var(--vermillion)",
}
_REFERENCE = re.compile(r"(url\(#|^#)")
_FONT = re.compile(r"font: (?:(\w+) )?([\d.]+)px [^;]*")


def inline(figure: Figure, *, key: str, alt: str) -> Markup:
    """Figure as an ``<svg role="img">`` element without namespaces, fonts or metadata.

    Args:
        figure: what to draw.
        key: prefix of the identifiers inside, unique on the page.
        alt: what the picture shows, for those who cannot see it.
    """
    root = ET.fromstring(_draw(figure))
    for parent in root.iter():
        for child in [child for child in parent if _local(child.tag) in ("metadata", "style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(k): _of_page(_local(k), v, key) for k, v in element.items()}
    width = figure.get_figwidth() * 96
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": alt,
        "style": f"max-width:{width:.0f}px",
    }
    return Markup(ET.tostring(root, encoding="unicode"))


def _draw(figure: Figure) -> str:
    """SVG text; the salt and the empty metadata make it repeatable."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "mechsteer", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _local(name: str) -> str:
    """A name without its XML namespace, which HTML does not want."""
    return name.rpartition("}")[2]


def _of_page(name: str, value: str, key: str) -> str:
    """An attribute as the page has it: own identifiers, the page's font and colours."""
    if name == "id":
        return f"{key}-{value}"
    if name == "style":
        value = _FONT.sub(_size_and_weight, value)
        for colour, on_page in PAGE_COLOURS.items():
            value = value.replace(colour, on_page)
    return _REFERENCE.sub(rf"\g<1>{key}-", value)


def _size_and_weight(font: re.Match[str]) -> str:
    weight, size = font.groups()
    return f"font-size:{size}px" + (f";font-weight:{weight}" if weight else "")
