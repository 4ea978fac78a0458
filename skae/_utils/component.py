"""Component: a torch module that scikit-learn can read, set and clone."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator
from torch import nn

from .checks import check_number


class Component(nn.Module):
    """A part of an autoencoder: a layer to torch, a hyperparameter to scikit-learn.

    A component is a recipe. Its constructor stores its parameters under their own names and
    creates no weights, so that `sklearn.base.clone` and ``estimator.set_params(part__name=...)``
    work on it as they do on an estimator. `fit` trains a clone, never the object it was given.

    Two methods are called once before training: `setup` creates what depends on shapes (weights, buffers), and
    ``init_from``, which each family of parts declares, starts from data.

    Attributes
    ----------
    progress : float or None
        The share of the training that is done, in [0, 1], for a subclass that sets it to 1.0; None, the default, for
        all others.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from skae.noise import GaussianNoise
    >>> noise = GaussianNoise(scale=0.5)
    >>> clone(noise).set_params(scale=0.1), noise
    (GaussianNoise(scale=0.1), GaussianNoise(scale=0.5))
    """

    progress: float | None = None

    # Borrowed, not inherited: an nn.Module that were a BaseEstimator too would carry
    # scikit-learn's fitting, tagging and HTML machinery, none of which a layer has a use for.
    _get_param_names: Any = classmethod(BaseEstimator._get_param_names.__func__)
    get_params = BaseEstimator.get_params
    set_params = BaseEstimator.set_params

    def __init__(self) -> None:
        super().__init__()

    def setup(self, n_components: int) -> None:
        """Create what depends on ``n_components``: the width of the code, at all positions together."""

    def _check_number(self, name: str, kind: type, low: float, high: float | None = None, bounds: str = "both") -> None:
        """Check that a parameter is a number of ``kind`` within bounds."""
        check_number(f"{type(self).__name__}: {name}", getattr(self, name), kind, low, high, bounds)

    def __getstate__(self) -> dict[str, Any]:
        """Of a recipe what the user set; with weights, all that torch keeps."""
        state = dict(vars(self))
        parts, blank = state.pop("_modules"), vars(nn.Module())
        machinery = {name: state.pop(name) for name in blank.keys() & state.keys()}
        if any(value != blank[name] for name, value in machinery.items()) or parts.keys() - self._get_param_names():
            return vars(self) | {}
        return state | parts

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_modules" in state:
            super().__setstate__(state)
            return
        nn.Module.__init__(self)
        for name, value in state.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        params: dict[str, Any] = self.get_params(deep=False)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in params.items())})"
