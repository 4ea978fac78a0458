"""Component: a torch module that scikit-learn can read, set and clone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from .checks import check_number
from .ranks import ALONE, Ranks
from .sklearn_compat import ParamsMixin
from .torch_compat import children, is_torch_state, own_state


class Component(ParamsMixin, nn.Module):
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
    whole_batch : bool
        Whether training looks at a batch as a whole, so that no distributed `fit` takes the part: a rank has a share.
    ranks : Ranks
        The processes of a distributed `fit` while it trains, by whose ``sum`` and ``mean`` a part may look at the whole
        batch all the same.

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
        """Create what depends on ``n_components``: the width of the code, at all positions together."""

    def find_features(self, names: Sequence[str] | None, shape: Sequence[int]) -> None:
        """Replace the names of features in the parameters by their numbers; do nothing by default.

        `fit` calls it on its copy. ``names`` are those of X, None where it has none; ``shape`` is that of a sample.
        """

    def _check_number(self, name: str, kind: type, low: float, high: float | None = None, bounds: str = "both") -> None:
        """Check that a parameter is a number of ``kind`` within bounds."""
        check_number(f"{type(self).__name__}: {name}", getattr(self, name), kind, low, high, bounds)

    def __getstate__(self) -> dict[str, Any]:
        """Return what the user set, of a recipe; with weights, all that torch keeps."""
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
