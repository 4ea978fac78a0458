"""Truncation of fitted estimators to fewer components."""

from __future__ import annotations

import copy
import numbers
from typing import Any

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._density.latent_prior import of_first_components
from .._training.truncation import truncated_net
from .._utils.checks import check_number
from ._base import FITTED, BaseAutoencoder
from ._image_arguments import width_of_draws


def truncate(estimator: Any, n_components: int) -> Any:
    """Return a fitted estimator with the first components of an ordered code.

    Its codes are ``estimator.transform(X)[:, :n_components]``, and its reconstructions are those of
    ``estimator.inverse_transform`` for these codes, computed by a smaller network with slices of the weights. They are
    equal up to rounding, and bit for bit in most cases. There is no training; with ``warm_start=True`` `fit` continues
    the training, best with ``bottleneck='identity'``, since only one size is needed.

    Parameters
    ----------
    estimator : AutoencoderTransformer, ConvAutoencoder or VAEGenerator
        Fitted estimator with an ordered bottleneck such as `skae.bottlenecks.Nested`, which is not changed. Its network
        is one of `skae.nn` or a class whose weights have the same layout by component.
    n_components : int
        Number of components to keep, from 1 to that of ``estimator``; channels of a spatial code.

    Returns
    -------
    truncated : estimator
        A fitted estimator of the same class, with copies of parameters and weights. Its curves are those of
        ``estimator``, the optimizer's state is truncated like the weights, and a ``prior_`` that is a Gaussian mixture
        is marginalized to the kept components. Other priors are removed, so that `sample` needs a new `fit`.

    Raises
    ------
    TypeError
        If ``estimator`` is not an autoencoder of skae.
    ValueError
        If its codes are not ordered, if ``n_components`` is out of range, or if the network cannot be truncated.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    skae.bottlenecks.Nested : The bottleneck that orders components.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer, truncate
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(16, bottleneck="nested", max_epochs=3, random_state=0).fit(X)
    >>> small = truncate(ae, 4)
    >>> small.transform(X).shape
    (1797, 4)
    >>> tuned = small.set_params(bottleneck="identity", max_epochs=2, warm_start=True).fit(X)
    """
    if not isinstance(estimator, BaseAutoencoder):
        raise TypeError(
            "estimator must be a fitted AutoencoderTransformer, ConvAutoencoder or VAEGenerator, got "
            f"{type(estimator).__name__}. For a pipeline or a search pass the autoencoder inside."
        )
    check_is_fitted(estimator)
    module = estimator.module_
    if not module.bottleneck.ordered:
        raise ValueError(
            "truncate needs components in order of importance, which "
            f"bottleneck={type(module.bottleneck).__name__} does not give: fit with bottleneck='nested'."
        )
    check_number("n_components", n_components, numbers.Integral, 1, module.n_components)
    k = int(n_components)
    if k == module.n_components:
        return copy.deepcopy(estimator).set_params(n_components=k)
    fitted = {name: value for name, value in vars(estimator).items() if name in FITTED}
    fitted["net_"] = truncated_net(estimator.net_, k)
    fitted["_explained_shares"] = fitted["_explained_shares"][:k]
    if "prior_" in fitted:
        n_positions = module.n_positions if width_of_draws(module, estimator._layout) is None else 1
        widths = k * n_positions, module.n_components * n_positions
        fitted["prior_"] = of_first_components(fitted["prior_"], *widths)
    small = clone(estimator).set_params(n_components=k)
    vars(small).update({name: value for name, value in fitted.items() if value is not None})
    return small
