"""Formulas as MathML, which browsers show by themselves: no script, no fonts, nothing to fetch."""

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def convert(node, *, as_block):
    """The formula of a node; one that cannot be read is a warning, and so ends the build."""
    try:
        formula = latex2mathml.tex2mathml(node.astext(), as_block=as_block)
        # Browsers leave no space between a function's name and what it is of: log p.
        return formula.replace("<mo>&ApplyFunction;</mo>", '<mspace width="0.17em"/>')
    except MathError as error:
        logger.warning("%s in %r", error, node.astext(), location=node)
        return node.astext()


def inline(self, node):
    """Write a formula in a line of text."""
    self.body.append(convert(node, as_block=False))
    raise nodes.SkipNode


def block(self, node):
    """Write a formula that stands alone; a wide one scrolls by itself."""
    self.body.append(f'<div class="formula">{convert(node, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app):
    """Sphinx calls it."""
    app.add_html_math_renderer(
        "mathml", inline_renderers=(inline, None), block_renderers=(block, None)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
