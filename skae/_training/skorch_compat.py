"""The undocumented names of skorch that skae uses.

============================== ============================================== =====================================
name                           reason                                         without it
============================== ============================================== =====================================
``NeuralNet._default_callbacks`` the estimator passes all callbacks             skorch adds its timer and its log
============================== ============================================== =====================================
"""

from __future__ import annotations

from skorch import NeuralNet


class BareNet(NeuralNet):
    """A skorch net without callbacks of its own."""

    @property
    def _default_callbacks(self) -> list:
        return []
