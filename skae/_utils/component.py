"""Component: a torch module with scikit-learn's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from .checks import check_number
from .ranks import ALONE, Ranks
from .sklearn_compat import ParamsMixin
from .torch_compat import children, is_torch_state, own_state


class Component(ParamsMixin, nn.Module):
    """Base class of the parts of an autoencoder: layers of torch, and hyperparameters of scikit-learn.

    Its constructor stores its parameters under their own names and creates no weights, so that `sklearn.base.clone` and
    ``estimator.set_params(part__name=...)`` work as for estimators. `fit` trains a clone, never the object itself.

    Two methods are called once before training: `setup` creates weights and buffers, which depend on shapes, and
    ``init_from``, declared by each family of parts, initializes from data.

    Attributes
    ----------
    progress : float or None
        The completed fraction of the training, in [0, 1], for a subclass that sets it to 1.0; None by default.
    whole_batch : bool
        Whether the part needs entire batches in training, which is not supported by a distributed `fit`.
    ranks : Ranks
        The processes of a distributed `fit` during training, with ``sum`` and ``mean`` over the entire batch.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skae.noise import GaussianNoise
    >>> noise = GaussianNoise(scale=0.5)
    >>> clone(noise).set_params(scale=0.1), noise
    (GaussianNoise(scale=0.1, unit='std'), GaussianNoise(scale=0.5, unit='std'))
    """

    progress: float | None = None
    whole_batch: bool = False
    ranks: Ranks = ALONE

    def __init__(self) -> None:
        super().__init__()

    def setup(self, n_components: int) -> None:
        """Create weights and buffers, given ``n_components``, the width of the code over all positions."""

    def find_features(self, names: Sequence[str] | None, shape: Sequence[int]) -> None:
        """Replace the names of features in the parameters by indices; does nothing by default.

        It is called by `fit` on its copy. ``names`` are the names of the features of X, or None; ``shape`` is that of a
        sample.
        """

    def _check_number(self, name: str, kind: type, low: float, high: float | None = None, bounds: str = "both") -> None:
        """Check that a parameter is a number of ``kind`` within bounds."""
        check_number(f"{type(self).__name__}: {name}", getattr(self, name), kind, low, high, bounds)

    def __getstate__(self) -> dict[str, Any]:
        """Return the parameters before `setup`, and the state of a torch module with weights."""
        state = own_state(self)
        if state is None or children(self).keys() - self.get_params(deep=False).keys():
            return vars(self) | {}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if is_torch_state(state):
            super().__setstate__(state)
            return
        nn.Module.__init__(self)
        for name, value in state.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        params: dict[str, Any] = self.get_params(deep=False)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in params.items())})"
