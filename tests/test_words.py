"""Terms: no words of everyday language in their place, and American spelling."""

import ast
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: Patterns of words, and what to write instead.
WORDS = {
    r"told": "given, passed, conditioned on",
    r"judg(e|es|ed|ing)": "evaluate, validate",
    r"mend(s|ed|ing)?": "denoise, impute, fix",
    r"len(d|ds|ding|t)": "pass, provide",
    r"the way back": "decoder, inverse",
    r"as good as": "equivalent to",
    r"by heart": "memorized",
    r"(behavi|col|fav|neighb)our\w*": "-or",
    r"grey\w*": "gray",
    r"centre[ds]?": "center",
    r"learnt": "learned",
    r"\w*(al|ard|im|lar|mor|n|quant|tom)is(e|ed|er|es|ing|ation)": "-ize, -ization",
}
PATTERN = re.compile("|".join(rf"\b{word}\b" for word in WORDS), re.IGNORECASE)


def texts(path):
    """Yield the lines and texts of comments and strings, docstrings included."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if tokenize.tok_name[token.type] in ("COMMENT", "STRING", "FSTRING_MIDDLE"):
                yield token.start[0], " ".join(token.string.split())


def test_docstrings_comments_and_messages_use_terms():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in sorted((ROOT / "skae").rglob("*.py"))
        for line, text in texts(path)
        for match in PATTERN.finditer(text)
    ]
    assert not found, "\n".join(found)


def test_test_names_use_terms():
    tests = ROOT / "tests"
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted(tests.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if PATTERN.search(node.name.replace("_", " "))
    ]
    assert not found, "\n".join(found)
