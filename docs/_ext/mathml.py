"""Formulas as MathML, which browsers show by themselves: no script, no fonts, nothing to fetch."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def formula(node, display):
    """The formula of a node; one that cannot be read is a warning, and so ends the build."""
    try:
        found = convert(node.astext(), display=display)
    except Exception as error:  # the converter has its own for each kind of slip
        logger.warning("%r in the formula %r", error, node.astext(), location=node)
        return node.astext()
    # Browsers leave no space between a function's name and what it is of: log p.
    return re.sub(r"(<mi>[a-z]{2,}</mi>)(?=<m)", r'\1<mspace width="0.17em"/>', found)


def inline(self, node):
    """Write a formula in a line of text."""
    self.body.append(formula(node, "inline"))
    raise nodes.SkipNode


def block(self, node):
    """Write a formula that stands alone; a wide one scrolls by itself."""
    self.body.append(f'<div class="formula">{formula(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app):
    """Sphinx calls it."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
