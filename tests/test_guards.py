"""No test fails because the machine is slow or busy."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).parent
FILES = sorted({*HERE.rglob("*.py")} - {Path(__file__)})
# A limit in seconds where it is used, rather than the one of guards.py; 0 asks without waiting.
NUMBER = r"(?:0?\.|[1-9])"
LIMIT = re.compile(
    rf"(?<![-\w])(?:timeout|deadline)={NUMBER}|\.(?:join|wait|result|exception|acquire)\({NUMBER}|Timer\({NUMBER}"
)


def test_hypothesis_has_no_deadline():
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_no_test_has_a_time_limit(path):
    source = path.read_text()
    assert LIMIT.findall(source) == []
    # What a test suppresses replaces what the profile does.
    for own in re.findall(r"suppress_health_check=(.*)", source):
        assert "too_slow" in own or own.startswith("list(HealthCheck)"), own


def test_time_limit_pattern():
    for limit in ("run(a, timeout=60)", "thread.join(5)", "event.wait(0.5)", "Timer(60, f)", "settings(deadline=200)"):
        assert LIMIT.search(limit), limit
    for free in ("run(a, timeout=HANGS)", "thread.join()", '", ".join(names)', "lock.acquire(timeout=0)"):
        assert not LIMIT.search(free), free
