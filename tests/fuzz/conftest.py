"""Says at the end how many calls were tried, over all processes."""

import sys
from collections import Counter

import pytest
from fuzzing import COUNTED

# Processes that load hostile files are watched through Linux's /proc.
collect_ignore = (
    [] if sys.platform.startswith("linux") else ["atheris_load.py", "hostile_files.py", "test_fuzz_files.py"]
)

_TOTAL = Counter()


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a process of pytest-xdist: its counts travel to the first one
        session.config.workeroutput["fuzzed"] = dict(COUNTED)
    else:
        _TOTAL.update(COUNTED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    _TOTAL.update(getattr(node, "workeroutput", {}).get("fuzzed", {}))


def pytest_terminal_summary(terminalreporter):
    if _TOTAL:
        each = ", ".join(f"{name} {count}" for name, count in sorted(_TOTAL.items()))
        terminalreporter.write_line(f"fuzz: {sum(_TOTAL.values())} calls ({each})")
