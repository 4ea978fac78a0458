"""How long a test waits for what would otherwise never end, and the systems that tests need."""

import os
import sys

import pytest

# Seconds, a hundred times what anything that is waited for takes: they end a test that hangs, never one on a slow or
# busy machine. No test has a limit of its own.
HANGS = 900

#: Marks of tests that need pipes, permissions and links as on POSIX, or /proc, /dev/full and fork as on Linux.
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
