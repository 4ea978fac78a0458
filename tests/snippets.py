"""Snippets of the pages: run as pasted, and compared with the output that the page shows."""

import ast
import contextlib
import io
import re
from typing import NamedTuple

import numpy as np

#: First line of a snippet that needs the names of the one before it. Every other snippet runs alone.
CONTINUES = "# Continues from above."
BLOCK = re.compile(r"^```(python|output)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHAPE = re.compile(r"\(\d+,(?: ?\d+,?)*\)")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?")
TOKEN = re.compile(rf"{SHAPE.pattern}|{NUMBER.pattern}|\w+|[^\w\s]")
RELATIVE = 0.1  # other processors round differently, and training amplifies that


class Snippet(NamedTuple):
    """Code, the line of the page that it begins at, and the output that the page shows, None if there is none."""

    code: str
    line: int
    output: str | None

    @property
    def continues(self):
        """Whether it needs the names of the snippet before."""
        return self.code.startswith(CONTINUES)


def snippets(page):
    """Return the Python blocks of a page, each with the output block that follows it."""
    text, found = page.read_text("utf-8"), []
    for match in BLOCK.finditer(text):
        if match[1] == "python":
            found.append(Snippet(match[2], text.count("\n", 0, match.start()) + 2, None))
        else:
            found[-1] = found[-1]._replace(output=match[2])
    return found


def run(page, skip=lambda code: False):
    """Run the snippets of a page and yield what differs from the page, as texts."""
    names = {}
    for snippet in snippets(page):
        if skip(snippet.code):
            continue
        if not snippet.continues:
            names = {}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            # Lines of the page in tracebacks.
            exec(compile("\n" * (snippet.line - 1) + snippet.code, str(page), "exec"), names)
        where = f"{page.name}:{snippet.line}"
        yield from (f"{where}: {wrong}" for wrong in wrong_shapes(snippet.code, names))
        if not shows(snippet.output or "", printed.getvalue()):
            yield f"{where}: shows\n{snippet.output}but prints\n{printed.getvalue()}"


def shows(shown, printed):
    """Return whether a page shows what was printed: equal words, symbols and shapes, and about equal numbers.

    A number may differ by a tenth, or by 1.5 in its last digit shown. `...` stands for any text.
    White space is ignored.
    """
    first, *others = [TOKEN.findall(part) for part in shown.split("...")]
    found = TOKEN.findall(printed)
    if not others:
        return alike(first, found)
    *between, last = others
    if not alike(first, found[: len(first)]):
        return False
    found = found[len(first) :]
    for part in between:
        starts = range(len(found) - len(part) + 1)
        start = next((start for start in starts if alike(part, found[start : start + len(part)])), None)
        if start is None:
            return False
        found = found[start + len(part) :]
    return len(found) >= len(last) and alike(last, found[len(found) - len(last) :])


def alike(shown, printed):
    """Return whether two lists of tokens have the same words, symbols and shapes, and numbers that are close."""
    return len(shown) == len(printed) and all(map(is_close, shown, printed))


def is_close(shown, printed):
    """Return whether two tokens are equal, or numbers of which the one shown is about the one printed."""
    if not (NUMBER.fullmatch(shown) and NUMBER.fullmatch(printed)):
        return shown.replace(" ", "") == printed.replace(" ", "")
    mantissa, _, exponent = shown.partition("e")
    last_digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(float(shown) - float(printed)) <= max(RELATIVE * abs(float(shown)), 1.5 * last_digit)


def wrong_shapes(code, names):
    """Yield the variables whose shape is not that in the comment beside their last assignment."""
    lines, claims = code.splitlines(), {}
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            comment = lines[node.end_lineno - 1][node.end_col_offset :]
            claims[node.targets[0].id] = SHAPE.search(comment)
    for name, claim in claims.items():
        if claim and np.shape(names[name]) != ast.literal_eval(claim[0]):
            yield f"the comment on {name} says {claim[0]}, its shape is {np.shape(names[name])}"
