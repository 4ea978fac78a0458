"""A normalizing flow as a density estimator."""

from __future__ import annotations

import copy
import math
import numbers
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from .._data.arrays import as_array, validate_data
from .._data.targets import NO_CONDITION, find_condition
from .._data.validation import check_sample_weight, check_size
from .._utils.checks import check_choice, check_device, check_number
from .._utils.rng import check_seed, draw_seed
from .._utils.threads import threads_for
from .flow_network import Architecture, FlowNetwork, import_zuko, make_network, restore_network
from .flow_start import start_mixture
from .flow_training import Rows, train

_FEW = 20  # with fewer samples the flow is not trained
_MOST_HELD_OUT = 10_000
_BATCHES = 4000  # of a fit by default
_FEWEST_EPOCHS, _MOST_EPOCHS = 10, 100
_AT_ONCE = 2**22  # values of samples processed at once, times the number of components
_NARROWEST = 1e-9  # minimum standard deviation, relative to the mean


class NormalizingFlow(DensityMixin, BaseEstimator):
    r"""Density estimation with a normalizing flow: an invertible network into a Gaussian mixture.

    The log-density of a sample x is that of f(x) in the mixture plus the log-determinant of f:

    .. math:: \log p(x) = \log \sum_k w_k N(f(x); \mu_k, \Sigma_k)
              + \log \left| \det \frac{\partial f}{\partial x} \right|,

    and its mean is maximized. The mixture is fitted first, by expectation-maximization, with a number of components
    selected by held-out likelihood. f is initialized to the identity, and both are trained together: the density
    remains the mixture unless the held-out likelihood increases. f is a masked autoregressive flow (Papamakarios et
    al., 2017), which shifts and scales each feature by functions of the preceding features. It requires the package
    zuko: ``pip install "skae[flow]"``.

    With some thousand samples or more it is more accurate than `sklearn.mixture.GaussianMixture`, and slower; with
    fewer samples there is little difference. `VAEGenerator` uses it with ``prior='flow'``.

    Parameters
    ----------
    n_transforms : int, default=3
        Number of autoregressive transformations; at least 1.
    n_layers : int, default=2
        Number of hidden layers of the network of a transformation; at least 1.
    width : int, default=128
        Width of the hidden layers; at least 1.
    n_components : int or 'auto', default='auto'
        Number of components of the mixture, at most the number of samples; with classes, of the mixture of each class.
        'auto' doubles it until the held-out likelihood no longer increases.
    conditional : {False, True, 'classes', 'targets'}, default=False
        Whether to estimate the density of X given y. With True, integers, strings, bools and integral floats are
        classes, and other numbers are real-valued targets; 'classes' and 'targets' select explicitly. Each class has
        its own mixture, and all share the flow.
    max_epochs : int or 'auto', default='auto'
        Maximum number of epochs. 'auto' chooses 10 to 100 epochs, for about 4,000 batches in total. With 0, or with
        fewer than 20 samples, the density is the mixture.
    lr : float, default=3e-3
        Maximum learning rate of Adam, with warmup and cosine annealing.
    batch_size : int, default=256
        Maximum number of samples in a batch.
    validation_fraction : float, default=0.1
        Fraction of the samples, in [0, 1), and at most 10,000 samples, to hold out for the selection of the best epoch.
        With 0 the last epoch is kept.
    n_iter_no_change : int or np.inf, default=10
        Number of epochs without an increase of the held-out likelihood after which training stops.
    device : str or torch.device, default='cpu'
        Device for training, scoring and sampling; 'auto' is CUDA if available, which is of little use for small
        networks.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation split and the order of the samples. Pass an int for reproducible
        results, bit for bit on the CPU. Global random states are neither read nor changed.

    Attributes
    ----------
    weights_ : dict of str to ndarray of float32
        Weights of the network, including the parameters of the mixture.
    loss_curve_, validation_loss_curve_ : list of float
        Mean negative log-density of a sample in nats: of the training samples in each epoch, and of the held-out
        samples before the first epoch and after each. The latter is empty if no samples are held out.
    n_iter_ : int
        Number of epochs.
    best_epoch_ : int
        Epoch whose weights are kept; 0 stands for the mixture.
    classes_ : ndarray of shape (n_classes,)
        The classes, if the density is conditional on classes.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names.

    See Also
    --------
    sklearn.mixture.GaussianMixture : Gaussian mixture.
    sklearn.neighbors.KernelDensity : Kernel density estimation.

    References
    ----------
    G. Papamakarios, T. Pavlakou and I. Murray, 2017. Masked autoregressive flow for density estimation. NeurIPS.

    Examples
    --------
    Nonlinearly dependent features, which Gaussian mixtures approximate piecewise:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a = rng.normal(size=(1000, 3))
    >>> X = np.hstack([a, np.sin(2 * a) + rng.normal(0, 0.1, (1000, 3))])
    >>> flow = NormalizingFlow(2, width=32, lr=1e-2, max_epochs=30, random_state=0).fit(X[:800])
    >>> mixture = NormalizingFlow(max_epochs=0, random_state=0).fit(X[:800])
    >>> bool(flow.score(X[800:]) > mixture.score(X[800:]) + 0.1)  # in nats
    True
    >>> flow.sample(3, random_state=0).shape
    (3, 6)
    """

    def __init__(
        self,
        n_transforms: int = 3,
        n_layers: int = 2,
        width: int = 128,
        *,
        n_components: int | str = "auto",
        conditional: bool | str = False,
        max_epochs: int | str = "auto",
        lr: float = 3e-3,
        batch_size: int = 256,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        device: str | torch.device = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_transforms = n_transforms
        self.n_layers = n_layers
        self.width = width
        self.n_components = n_components
        self.conditional = conditional
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.random_state = random_state

    # ---------------------------------------------------------------- fitting

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, X_std: Any = None) -> NormalizingFlow:
        """Fit the density.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; at least 2.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Classes or targets, for a conditional density; ignored otherwise.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative sample weights; only their ratios matter.
        X_std : array-like of shape (n_samples, n_features), default=None
            Standard deviations, if samples are distributions N(X, X_std ** 2), such as the posteriors of a variational
            autoencoder: each epoch is trained on new draws from them.

        Returns
        -------
        self : object
            The fitted density.

        Raises
        ------
        ImportError
            If zuko is not installed.
        ValueError, TypeError
            If a parameter or an array is invalid. After any error the estimator is unchanged.
        FloatingPointError
            If the loss is not finite.
        """
        fitted = copy.copy(self)
        fitted.__dict__ = {name: value for name, value in vars(self).items() if name not in ("classes_", "_network")}
        fitted._fit(X, y, sample_weight, X_std)
        self.__dict__ = fitted.__dict__
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_std: Any) -> None:
        device = self._check_params()
        X = check_size(validate_data(self, as_array(X), dtype=np.float64, ensure_min_samples=2), "X")
        weight = check_sample_weight(sample_weight, len(X))
        X_std = None if X_std is None else _check_std(X_std, X)
        condition: Any = NO_CONDITION
        c = None
        if self.conditional:
            if y is None:
                raise ValueError(f"conditional={self.conditional!r} requires y to be passed, but the target y is None.")
            kind = self.conditional if isinstance(self.conditional, str) else True
            condition = find_condition(kind, as_array(y), sample_weight=weight)
            c = condition.of_samples(y, len(X))
        used = weight > 0
        if used.sum() < 2:
            raise ValueError(f"sample_weight must be positive for at least 2 samples, got {used.sum()}.")
        weight = weight / weight[used].mean()
        X, weight, c, X_std = (None if A is None else A[used] for A in (X, weight, c, X_std))  # type: ignore[assignment]
        seed = draw_seed(self.random_state)
        self._mean, self._scale = _mean_and_scale(X, weight, X_std)
        rows = Rows((X - self._mean) / self._scale, None if X_std is None else X_std / self._scale, c, weight)
        order = np.random.default_rng(seed).permutation(len(X))
        n_held_out = self._n_held_out(len(X))
        held_out, seen = (rows.at(index) for index in np.split(order, [n_held_out]))
        mixture = start_mixture(seen, held_out, condition, self.n_components, seed)
        sizes = (len(mixture.means), self.n_transforms, self.n_layers, self.width)
        architecture = Architecture(X.shape[1], condition.width, *map(int, sizes))
        network = make_network(architecture, seed)
        network.start_from(*mixture)
        held_out, seen = held_out.on(device), seen.on(device)
        with threads_for(architecture.n_weights * min(len(seen.x), int(self.batch_size))):
            losses, held_out_losses = train(
                network.to(device),
                seen,
                held_out if n_held_out else None,
                n_epochs=self._n_epochs(len(seen.x)) if len(X) >= _FEW else 0,
                lr=float(self.lr),
                batch_size=int(self.batch_size),
                patience=float(self.n_iter_no_change),
                seed=seed,
            )
        self.weights_ = {name: value.detach().cpu().numpy() for name, value in network.named_parameters()}
        log_scale = float(np.log(self._scale).sum())
        self.loss_curve_ = [loss + log_scale for loss in losses]
        self.validation_loss_curve_ = [loss + log_scale for loss in held_out_losses]
        self.n_iter_ = len(losses)
        self.best_epoch_ = int(np.argmin(held_out_losses)) if held_out_losses else len(losses)
        self._architecture = tuple(architecture)
        self._condition = condition.learned(c, weight, more=False) if condition else None
        if condition.classes is not None:
            self.classes_ = condition.classes

    def _check_params(self) -> torch.device:
        import_zuko()
        for name in ("n_transforms", "n_layers", "width", "batch_size"):
            check_number(name, getattr(self, name), numbers.Integral, 1)
        for name, low in (("n_components", 1), ("max_epochs", 0)):
            if not (isinstance(getattr(self, name), str) and getattr(self, name) == "auto"):
                check_number(name, getattr(self, name), numbers.Integral, low)
        check_choice("conditional", self.conditional, (False, True, "classes", "targets"))
        check_number("lr", self.lr, numbers.Real, 0, bounds="neither")
        check_number("validation_fraction", self.validation_fraction, numbers.Real, 0, 1, bounds="left")
        if not (isinstance(self.n_iter_no_change, float) and self.n_iter_no_change == np.inf):
            check_number("n_iter_no_change", self.n_iter_no_change, numbers.Integral, 1)
        check_seed(self.random_state)
        return check_device(self.device)

    def _n_held_out(self, n: int) -> int:
        if n < _FEW or not self.validation_fraction:
            return 0
        return min(math.ceil(self.validation_fraction * n), _MOST_HELD_OUT, n - 1)

    def _n_epochs(self, n: int) -> int:
        if self.max_epochs != "auto":
            return int(self.max_epochs)
        return min(max(_FEWEST_EPOCHS, round(_BATCHES / math.ceil(n / int(self.batch_size)))), _MOST_EPOCHS)

    # ---------------------------------------------------------------- densities and samples

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Compute the log-density of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets, for a conditional density, to compute log p(x|y). If None, log p(x) is computed,
            averaging the density over the classes, or over 32 of the targets, of `fit`. Ignored if the density is not
            conditional.

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Log-densities in nats.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            If ``X`` or ``y`` is invalid.
        """
        check_is_fitted(self)
        X = check_size(validate_data(self, as_array(X), dtype=np.float64, reset=False), "X")
        condition: Any = self._condition
        if condition is None:
            return self._log_density(X, None)
        if y is not None:
            return self._log_density(X, condition.of_samples(y, len(X)))
        alternatives, shares = condition.alternatives()
        found = [self._log_density(X, np.broadcast_to(c, (len(X), len(c)))) for c in alternatives]
        return logsumexp(found, axis=0, b=shares[:, None])

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like, default=None
            As in `score_samples`.

        Returns
        -------
        score : float
            The mean log-density of a sample in nats; greater is better.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in `score_samples`.
        """
        return float(self.score_samples(X, y).mean())

    def sample(
        self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None, y: Any = None
    ) -> np.ndarray:
        """Draw samples.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across calls.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets, for a conditional density: one for all samples, or one for each, so that ``n_samples``
            can be omitted. If None, they are drawn from their distribution in `fit`.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            Rows.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            If an argument is invalid.
        """
        check_is_fitted(self)
        check_number("n_samples", n_samples, numbers.Integral, 1)
        n = int(n_samples)
        rng = np.random.default_rng(draw_seed(random_state))
        condition: Any = self._condition or NO_CONDITION
        y = as_array(y)
        if n == 1 and condition and y is not None and not condition.is_single(y):
            n = len(y) or 1
        c = condition.draw(n, rng) if condition and y is None else condition.of_samples(y, n)
        noise = np.concatenate([rng.random((n, 1)), rng.standard_normal((n, self.n_features_in_))], axis=1)
        return self._mean + self._scale * self._by_parts("draw", noise, c)

    def _log_density(self, X: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        return self._by_parts("log_density", (X - self._mean) / self._scale, c) - np.log(self._scale).sum()

    @torch.no_grad()
    def _by_parts(self, method: str, x: np.ndarray, c: np.ndarray | None) -> np.ndarray:
        """Return the output of a method of the network for samples and their conditions, in chunks."""
        network, architecture = self._restored(), Architecture(*self._architecture)
        n_at_once = max(1, _AT_ONCE // (architecture.n_components * architecture.n_features))

        def part(A: np.ndarray | None, start: int) -> torch.Tensor | None:
            device = network.means.device
            return None if A is None else torch.tensor(A[start : start + n_at_once], dtype=torch.float64, device=device)

        with threads_for(architecture.n_weights * min(len(x), n_at_once)):
            found = [getattr(network, method)(part(x, i), part(c, i)) for i in range(0, len(x), n_at_once)]
        return torch.cat(found).cpu().numpy()

    # ---------------------------------------------------------------- state and tags

    def _restored(self) -> FlowNetwork:
        """Return the cached network on the device."""
        device, kept = check_device(self.device), vars(self).get("_network")
        if kept is None or kept[0] != device:
            kept = (device, restore_network(Architecture(*self._architecture), self.weights_, device))
            self._network = kept
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_network", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.conditional)
        return tags


def check_flow(prior: NormalizingFlow) -> None:
    """Check the parameters of a flow before codes are available; errors name the prior."""
    try:
        prior._check_params()
    except (TypeError, ValueError) as error:
        raise type(error)(f"prior={prior!r}: {error}") from error


def _check_std(X_std: Any, X: np.ndarray) -> np.ndarray:
    X_std = check_size(np.asarray(as_array(X_std), dtype=np.float64), "X_std")
    if X_std.shape != X.shape or not (X_std >= 0).all():
        raise ValueError(f"X_std must have non-negative numbers in the shape of X, {X.shape}, got {X_std.shape}.")
    return X_std


def _mean_and_scale(X: np.ndarray, weight: np.ndarray, X_std: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each feature, which is positive also for constant features."""
    mean = np.average(X, axis=0, weights=weight)
    variance = np.average((X - mean) ** 2 + (0 if X_std is None else X_std**2), axis=0, weights=weight)
    scale = np.sqrt(variance)
    return mean, np.maximum(scale, np.maximum(_NARROWEST * np.abs(mean), np.finfo(np.float32).tiny))
