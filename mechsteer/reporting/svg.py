"""A matplotlib figure as inline SVG: the same bytes every time, in the colours of the page."""

from __future__ import annotations

import base64
import io
import re
import warnings
from itertools import takewhile
from typing import cast
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mechsteer.plots.panels import BLUE, GREEN, INK, ORANGE, PAPER, PURPLE, SKY, VERMILLION
from mechsteer.plots.spots import ARM, spots_of

# The palette as CSS variables, so that a dark page can lighten it; the ink is that of the text.
PAGE_COLOURS = {
    INK: "currentColor",
    PAPER: "var(--page)",
    BLUE: "var(--blue)",
    GREEN: "var(--green)",
    VERMILLION: "var(--vermillion)",
    PURPLE: "var(--purple)",
    SKY: "var(--sky)",
    ORANGE: "var(--orange)",
}
_REFERENCE = re.compile(r"(?:url\(#|^#)([\w-]+)")
_FAMILY = re.compile(r"font-family: [^;]*;? ?")
_SHORTHAND = re.compile(r"font: (?:(\w+) )?([\d.]+px) [^;]*")
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_PATH_DECIMALS = re.compile(r"(\.\d)\d+")  # a tenth of a point is a seventh of a pixel
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\)")
# what the page's style sheet says of every line, or what SVG assumes anyway
_DEFAULTS = re.compile(r"stroke-(?:linecap: \w+|linejoin: \w+|dashoffset: 0)(?:; |$)")
_INVISIBLE = ("fill: none", "fill: none; opacity: 0")
_NEXT = "|"  # between the spots of a picture
_MOST = 2500  # spots of a picture; more would fill the page, and stand too close to be pointed at
_LARGE = 4096  # bytes of an image from which fewer colours pay
# the commonest styles, which the page's style sheet has under a short name
CLASSES = {
    "font-size: 8px; text-anchor: middle; fill: currentColor": "x",
    "font-size: 8px; text-anchor: end; fill: currentColor": "y",
    "fill: currentColor; stroke: currentColor; stroke-width: 0.6": "t",
    "fill: none; stroke: currentColor; stroke-width: 0.6; ": "s",
}
_GEOMETRY = ("d", "x", "y", "width", "height", "transform", "points")


def inline(axes: Axes, *, key: str, alt: str) -> Markup:
    """The figure of ``axes`` as an ``<svg role="img">`` without namespaces, fonts or metadata.

    Args:
        axes: any axes of the figure.
        key: prefix of the identifiers inside, unique on the page.
        alt: what the picture shows, for those who cannot see it.
    """
    figure = cast(Figure, axes.figure)
    root = ET.fromstring(_draw(figure))
    for parent in list(root.iter()):
        for child in [child for child in parent if _local(child.tag) in ("metadata", "style")]:
            parent.remove(child)
    _prune(root)
    used = {name for e in root.iter() for v in e.attrib.values() for name in _REFERENCE.findall(v)}
    for element in root.iter():
        _rewrite(element, key, used)
    width = figure.get_figwidth() * 96
    told = _told(figure)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": alt,
        "style": f"max-width:{width:.0f}px",
        **({"data-spots": told, "data-frame": _frame(figure)} if told else {}),
    }
    return Markup(ET.tostring(root, encoding="unicode"))


def _told(figure: Figure) -> str:
    """What points of a figure say, for the page's script: across, down and words of each.

    More than can be pointed at say nothing. Before the words stands how many of their UTF-16 units
    are those of the point before, which are left out: they are half of the bytes.
    """
    told, last = [], ""
    spots = [*spots_of(figure)]
    for x, y, text in spots if len(spots) <= _MOST else ():
        words = text.replace(_NEXT, " ")
        pairs = takewhile(lambda pair: pair[0] == pair[1], zip(last, words, strict=False))
        same = "".join(letter for letter, _ in pairs)
        units = len(same.encode("utf-16-le", "surrogatepass")) // 2
        told.append(f"{x:.0f} {y:.0f} {units} {words[len(same) :]}")
        last = words
    return _NEXT.join(told)


def _frame(figure: Figure) -> str:
    """Left, top, right and bottom of all panels of a figure, for the page's script."""
    box = Bbox.union([ax.get_position() for ax in figure.axes if ax.get_label() != "<colorbar>"])
    width, height = 72 * figure.get_figwidth(), 72 * figure.get_figheight()
    ends = (box.x0 * width, (1 - box.y1) * height, box.x1 * width, (1 - box.y0) * height)
    return " ".join(f"{end:.0f}" for end in ends)


def _draw(figure: Figure) -> str:
    """SVG text; the salt and the empty metadata make it repeatable."""
    stream = io.StringIO()
    repeatable = {"svg.hashsalt": "mechsteer", "svg.fonttype": "none"}
    with mpl.rc_context(repeatable), warnings.catch_warnings():
        # Text stays text: the reader's fonts draw it, matplotlib's only measure it.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing")
        figure.savefig(stream, format="svg", dpi=144, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _prune(root: ET.Element) -> None:
    """Take away what draws nothing: invisible shapes, definitions of nothing, bare groups."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.get("style") in _INVISIBLE or (_local(child.tag) == "defs" and not len(child)):
                parent.remove(child)
    for parent in reversed(list(root.iter())):
        for place, child in reversed(list(enumerate(parent))):
            named = child.get("id", "").startswith(ARM)
            if _local(child.tag) == "g" and not named and not set(child.keys()) - {"id"}:
                parent[place : place + 1] = list(child)


def _small_image(address: str) -> str:
    """A photograph of many points in 64 colours, which is a quarter of its bytes."""
    head, _, body = address.partition(",")
    raw = base64.b64decode(body)
    if not head.startswith("data:image/png") or len(raw) < _LARGE:
        return address
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(raw)) as image:
        image.quantize(64, method=Image.Quantize.FASTOCTREE).save(stream, "PNG", optimize=True)
    return f"{head},{base64.b64encode(stream.getvalue()).decode()}"


def _rewrite(element: ET.Element, key: str, used: set[str]) -> None:
    """One element for the page: without namespace, indentation and names that nothing refers to."""
    element.tag = _local(element.tag)
    attributes = {_local(name): value for name, value in element.items()}
    own = attributes.get("id", "")
    if own.startswith(ARM):
        attributes["data-arm"] = own.removeprefix(ARM)
    if own not in used:
        attributes.pop("id", None)
    element.attrib = {
        name: new for name, value in attributes.items() if (new := _of_page(name, value, key))
    }
    if name := CLASSES.get(element.get("style", "")):
        del element.attrib["style"]
        element.set("class", name)
    if element.tag != "text":
        element.text = None
    element.tail = None


def _local(name: str) -> str:
    """A name without its XML namespace, which HTML does not want."""
    return name.rpartition("}")[2]


def _of_page(name: str, value: str, key: str) -> str:
    """An attribute as the page has it: own identifiers, the page's font and colours."""
    if name == "id":
        return f"{key}-{value}"
    if name == "href" and value.startswith("data:"):
        return _small_image("".join(value.split()))
    if name in ("d", "x", "y"):
        value = _PATH_DECIMALS.sub(r"\1", value).replace(".0 ", " ").removesuffix(".0")
        curved = any(letter in value for letter in "CQA")
        # after a start, further points are straight lines by themselves
        return " ".join(value.split() if curved else value.replace("L", "").split())
    if name in _GEOMETRY:
        return " ".join(_NO_TURN.sub("", _DECIMALS.sub(r"\1", value)).split())
    if name == "style":
        value = _DEFAULTS.sub("", value)
        value = _SHORTHAND.sub(_size_and_weight, _FAMILY.sub("", value))
        for colour, on_page in PAGE_COLOURS.items():
            value = value.replace(colour, on_page)
    return _REFERENCE.sub(lambda found: found[0].replace("#", f"#{key}-"), value)


def _size_and_weight(font: re.Match[str]) -> str:
    weight, size = font.groups()
    return f"font-size: {size}" + (f"; font-weight: {weight}" if weight else "")
