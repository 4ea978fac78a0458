"""Terms: no words of everyday language where the field has a term."""

import ast
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Patterns of words, and what to write instead. `make lint` runs codespell for American spelling.
WORDS = {
    r"told": "given, passed, conditioned on",
    r"judg(e|es|ed|ing)": "evaluate, validate",
    r"mend(s|ed|ing)?": "denoise, impute, fix",
    r"len(d|ds|ding|t)": "pass, provide",
    r"the way back": "decoder, inverse",
    r"as good as": "equivalent to",
    r"by heart": "memorized",
    r"by and by": "incrementally",
    r"(and )?what not": "Limitations",
    r"of one's own": "custom",
    r"that (nobody|no one)": "say what there is",
    r"tell(s|ing)? apart": "distinguish",
    r"makes? of (it|them|the|a|each|what|X)": "the output of, returns",
    r"by what": "by the name of the thing",
    r"(it|that|which) is (?-i:none)": "without, missing, invalid",
    r"(are|is) (?-i:none) that": "not one that",
    r"comes? back": "is returned, restored, decoded",
    r"anew": "again",
    r"towards": "toward",
    r"in silence": "without a warning",
    r"as it was before": "unchanged",
    r"as if nothing had happened": "with the same result",
    r"hands? (it|them|on|over)": "pass",
    r"wants? to be": "has to be",
    r"goes by": "uses, follows",
    r"comes to the same": "is equivalent",
    r"of it all": "leave it out",
    r"takes? along": "includes",
    r"sees? to it": "ensures",
    r"for better or worse": "leave it out",
}
PATTERN = re.compile("|".join(rf"\b{word}\b" for word in WORDS), re.IGNORECASE)
#: A list of changes is not rewritten after a release.
EXEMPT = ("docs/changelog.md", "tests/test_words.py")


def texts_of_source(path):
    """Yield the lines and texts of comments and strings, docstrings included."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if tokenize.tok_name[token.type] in ("COMMENT", "STRING", "FSTRING_MIDDLE"):
                yield token.start[0], token.string


def texts_of_page(path):
    """Yield the paragraphs of a page and the lines where they begin, without code and without targets of links."""
    text = re.sub(r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), path.read_text("utf-8"), flags=re.S | re.M)
    for match in re.finditer(r"(?:.+\n?)+", text):
        paragraph = re.sub(r"(`+).+?\1", "", match[0], flags=re.S)
        yield text.count("\n", 0, match.start()) + 1, re.sub(r"\]\([^)]*\)", "]", paragraph)


def found_in(paths, texts):
    return [
        f"{path.relative_to(ROOT)}:{line}: {match[0]!r}"
        for path in sorted(paths)
        if path.relative_to(ROOT).as_posix() not in EXEMPT
        for line, text in texts(path)
        for match in PATTERN.finditer(" ".join(text.split()))
    ]


@pytest.mark.parametrize("folder", ["skae", "tests", "examples"])
def test_docstrings_comments_and_messages_use_terms(folder):
    paths = list((ROOT / folder).rglob("*.py"))
    assert paths
    found = found_in(paths, texts_of_source)
    assert not found, "\n".join(found)


def test_pages_use_terms():
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "skae").rglob("*.md"), *ROOT.glob("*.md")]
    pages = [page for page in pages if not {"_build", "auto_examples"} & set(page.parts)]
    assert len(pages) > 30
    found = found_in(pages, texts_of_page)
    assert not found, "\n".join(found)


def test_code_in_pages_is_skipped(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "Text with `judge`\nand [a link](judge.md).\n\n```python\njudge = 1\n```\n\nA second text,\nwhich judges.\n"
    )
    assert [(line, " ".join(text.split())) for line, text in texts_of_page(page)] == [
        (1, "Text with and [a link]."),
        (8, "A second text, which judges."),
    ]


def test_names_of_tests_use_terms():
    found = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if PATTERN.search(node.name.replace("_", " "))
    ]
    assert not found, "\n".join(found)
