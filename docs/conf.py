"""The documentation site: guides in Markdown, reference from docstrings, nothing fetched."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

from mechsteer import __version__

project = "mechsteer"
author = "the mechsteer authors"
copyright = author  # noqa: A001 - Sphinx reads this name
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
nitpicky = False
default_role = "code"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = False  # options of a study are in no source line
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = f"mechsteer {version}"
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

_DOLLARS = re.compile(r"(?<![\\$`\w])\$([^$\n]+(?:\n[^$\n]+)?)\$(?![\w$])")


def setup(app: Sphinx) -> None:
    """Draw formulas as MathML, which browsers render without a script."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-docstring", _dollars)


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def _dollars(_: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Docstrings write formulas between dollars, as Markdown does."""
    lines[:] = _DOLLARS.sub(r":math:`\1`", "\n".join(lines)).split("\n")
