"""The undocumented names of joblib that skae uses.

==================================== ================================================= ===========================
name                                 reason                                            without it
==================================== ================================================= ===========================
``parallel.get_active_backend``      whether this thread is one of several at work     as many threads as there are
``nesting_level`` of the backend     the same: 0 outside of `joblib.Parallel`          the same
==================================== ================================================= ===========================
"""

from __future__ import annotations

import threading


def in_joblib_thread() -> bool:
    """Return whether this is a worker thread of joblib; only its processes have a limit of threads."""
    return threading.current_thread() is not threading.main_thread() and in_joblib_worker()


def in_joblib_worker() -> bool:
    """Return whether this is a worker of joblib, a thread or a process."""
    try:
        from joblib.parallel import get_active_backend

        return get_active_backend()[0].nesting_level > 0
    except (AttributeError, ImportError, TypeError):
        return False
