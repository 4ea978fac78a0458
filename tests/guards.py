"""How long a test waits for what would otherwise never end, and the systems that tests need."""

import os
import sys

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

# Seconds, a hundred times what anything that is waited for takes: they end a test that hangs, never one on a slow or
# busy machine. No test has a limit of its own.
HANGS = 900

#: Marks of tests that need pipes, permissions and links as on POSIX, or /proc, /dev/full and fork as on Linux.
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
#: Marks of tests of routing through pipelines and searches to routers, which older versions of scikit-learn do not do.
routing = pytest.mark.skipif(parse_version(sklearn.__version__) < parse_version("1.9"), reason="needs scikit-learn 1.9")
