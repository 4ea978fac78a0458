"""Snippets of the pages: run as a reader would paste them, and compared with the output that the page shows."""

import ast
import contextlib
import io
import re
from typing import NamedTuple

import numpy as np

#: The first line of a snippet that needs the names of the one before it on its page. Every other one runs alone.
CONTINUES = "# Continues from above."
BLOCK = re.compile(r"^```(python|output)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHAPE = re.compile(r"\(\d+,(?: ?\d+,?)*\)")
PIECES = re.compile(rf"({SHAPE.pattern}|(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)")
RELATIVE = 0.1  # other processors round differently, and training carries that on


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
    """Return whether a page shows what was printed: the same words, shapes and, by and large, numbers.

    A number may differ by a tenth, or by 1.5 in its last digit shown. `...` stands for any text.
    """
    parts = [part.split() for part in re.split(r"\.\.\.", shown)]
    words = printed.split()
    position = 0
    for i, part in enumerate(parts):
        starts = [position] if i == 0 else range(position, len(words) - len(part) + 1)
        if i and i == len(parts) - 1:
            starts = [len(words) - len(part)] if len(words) - len(part) >= position else []
        for start in starts:
            if alike(" ".join(part), " ".join(words[start : start + len(part)])):
                position = start + len(part)
                break
        else:
            return False
    return len(parts) > 1 or position == len(words)


def alike(shown, printed):
    """Return whether two texts have the same words and shapes, and numbers that are close."""
    expected, found = PIECES.split(shown), PIECES.split(printed)
    if len(expected) != len(found):
        return False
    # Every other piece is a number or a shape.
    return all(
        is_close(a, b) if i % 2 else a.split() == b.split()
        for i, (a, b) in enumerate(zip(expected, found, strict=True))
    )


def is_close(shown, printed):
    """Return whether a number that was printed is about that shown; shapes are equal or not."""
    if "(" in shown or "(" in printed:
        return shown.split() == printed.split()
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
