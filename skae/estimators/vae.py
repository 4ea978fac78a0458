"""A variational autoencoder: codes as distributions, likelihoods, and new samples."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from .._data.arrays import as_array, return_input_type
from .._data.chunked import slices, to_tensor
from .._data.layout import NO_LAYOUT
from .._data.validation import check_same_shape, check_sample_weight
from .._module.bounds import common_noise, lower_bound
from .._module.runner import BatchRunner
from .._utils.checks import check_choice, check_number
from .._utils.rng import Stream, draw_seed
from .._utils.sklearn_compat import with_callbacks
from .._utils.slots import unwrapped
from ..bottlenecks import Gaussian
from ..losses import Likelihood
from ..nn import Conv
from ._advice import warn_of_target
from ._base import BaseAutoencoder, goes_by_epochs
from ._fit_data import FitData
from ._hints import names_arguments
from ._integer_codes import codes_of_integers, has_integer_codes
from ._resolve import ModelSpec, declares, find_network
from ._warnings import renamed_argument, warn

_ACTIVE = 0.01  # variance of the means of an active component
_N_DRAWS = 32  # codes over which the evidence lower bound is averaged


def _is_variational(estimator: Any) -> bool:
    """Check that codes are distributions, for the availability of methods."""
    if hasattr(estimator, "net_") and not estimator.module_.is_variational:
        raise AttributeError(
            "transform_distribution and sample_posterior need a bottleneck that gives distributions, such as the "
            f"default, bottleneck=None; got {estimator.module_.bottleneck!r}."
        )
    return True


def _generates(estimator: Any) -> bool:
    if estimator.prior is None and hasattr(estimator, "net_") and not estimator.module_.bottleneck.standard_normal:
        raise AttributeError("sample needs a density of the codes: set prior, for example prior='mixture'.")
    return True


class VAEGenerator(BaseAutoencoder):
    r"""Variational autoencoder, to generate samples and estimate likelihoods.

    The code z of ``n_components`` numbers has the prior N(0, I), and the decoder maps it to the distribution p(x|z) of
    a sample. The encoder maps a sample to the approximate posterior q(z|x) of its code. Both are trained to maximize
    the evidence lower bound of the log-likelihood, in nats (Kingma and Welling, 2014):

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x|z) - \beta \, \mathrm{KL}\left(q(z|x) \,\|\, N(0, I)\right),
              \qquad \beta = 1.

    With the default ``loss='gaussian'`` the width of p(x|z) is estimated from the data (Rybkin et al., 2021), so that
    the weight between the two terms needs no tuning. The default network is initialized to probabilistic PCA; the
    weights with the lowest loss on held-out samples are kept.

    ***Sampling.** By default, codes are drawn from ``prior_``, a Gaussian mixture fitted to the codes after training,
    instead of N(0, I) (``prior=None``): the codes of the training samples do not fill N(0, I), and where there are none
    the decoder has not been trained. ``docs/benchmarks.md`` compares both on images. Samples of tables and sequences
    are drawn from p(x|z), while images are its mean: see ``noisy`` of `sample`.

    Parameters
    ----------
    n_components : int or float, default=16
        Latent size; at least 1. Superfluous components stay inactive, at the cost of time only. With an ordered
        bottleneck ('nested') it may be a fraction of the variance in (0, 1), as in PCA: a larger code is fitted and
        truncated to the smallest number of components whose `explained_variance_ratio_` sum to that fraction, with a
        warning if none does.

    beta : float, default=1.0
        Weight of the KL divergence; at least 0. Values above 1 give simpler codes and coarser reconstructions (Higgins
        et al., 2017). For the default bottleneck only; other bottlenecks have their own parameters.
    importance_samples : int, default=1
        Number of codes drawn for each sample in training. With more than one, the importance-weighted bound (Burda et
        al., 2016) is maximized, at that multiple of the decoder's cost. For the default bottleneck only.
    conditional : {False, True, 'classes', 'targets'}, default=False
        Whether the decoder is conditioned on y, so that samples can be generated for a given y. With True, integers,
        strings, bools and integral floats are classes, and other numbers are real-valued targets; 'classes' and
        'targets' select explicitly.
    input_shape : tuple of int, default=None
        Shape of one image, if X holds flattened images: (height, width), (height, width, channels) or (channels,
        height, width). One side may be -1, as in `numpy.reshape`. Not needed for square gray images.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels of an image, as in scikit-image: 0 for (channels, height, width), -1 for (height, width,
        channels), None for (height, width). 'auto' selects the first or the last axis if exactly one of them has length
        1, 3 or 4, and raises an error otherwise. For sequences (``module='gru'`` or ``'tcn'``) 0 means (channels,
        length), and -1 or 'auto' (length, channels).
    crop_size : 'auto', int or (height, width), default='auto'
        Size in pixels of the training crops of a network for images of any size (``module__dense=False``). 'auto'
        trains on whole images if there are several, all of one size of at most 128 × 128. Otherwise crops are 64 × 64,
        or as large as the shortest side of the images allows, half of it for a single image.
    n_crops : int or 'auto', default='auto'
        Number of random crops in each epoch. 'auto' draws enough to cover the images once, at least 8 batches and at
        most 16,384, or one for each image if there are more images.
    augmentation : {None, 'flip', 'flip_rotate', 'flip_rotate_scale'}, default=None
        Random augmentation of crops or whole images: 'flip' mirrors left and right; 'flip_rotate' applies one of the
        eight flips and rotations by 90°, for square crops; 'flip_rotate_scale' also rescales by a factor of 0.5 to 2,
        within the limits of the image.
    module : {'mlp', 'conv', 'gru', 'tcn'}, class or nn.Module, default='mlp'
        The network. A string is one of `skae.nn`; 'conv', and every class with an attribute ``reads_images = True``,
        accepts images in any layout, as `ConvAutoencoder` does. 'conv' has no linear skip connection unless
        ``module__linear_skip=True``, since the bound is higher without it (see Notes). A class (or a callable) with
        ``encode`` and ``decode`` is called with whichever of ``input_shape``, ``n_components`` and ``n_outputs`` its
        signature names, and with ``module__*``: `encode` must return ``n_outputs`` numbers, twice the latent size, and
        `decode` accept ``n_components`` numbers plus those that encode y. A module is copied at every fit.
    bottleneck : {'gaussian', 'total_correlation', 'mmd', 'squared_norm', ...}, class or object, default=None
        Regularization or transformation of the code, one of `skae.bottlenecks`; ``Gaussian(beta,
        importance_samples=...)`` if None. `~skae.bottlenecks.MMD` gives a Wasserstein autoencoder,
        `~skae.bottlenecks.TotalCorrelation` a β-TCVAE, `~skae.bottlenecks.SquaredNorm` the regularized autoencoder of
        Ghosh et al. (2020).
    loss : {'gaussian', 'laplace', 'bernoulli', 'discretized_logistic', ...}, class or object, default='gaussian'
        Negative log-likelihood of a sample, one of `skae.losses`. 'bernoulli' needs X in [0, 1], 'discretized_logistic'
        integers from 0 to 255, 'poisson' and 'negative_binomial' counts; `~skae.losses.Mixed` combines a loss for each
        group of columns.
    noise : {'gaussian_noise', 'masking_noise', ...}, class or object, default=None
        Corruption applied to the inputs during training, one of `skae.noise`, for a denoising autoencoder. Validation
        samples are corrupted once, so that the validation loss measures denoising.
    missing : {'error', 'mask'}, default='error'
        How NaN in X is treated. 'error' raises an error. 'mask' treats NaN as missing values: they are replaced by the
        mean of their feature (in sequences, of their channel) at the input of the network, left out of the loss, and
        imputed by `reconstruct`. Combine it with a masking ``noise``, so that the network is trained to impute observed
        values. A feature without observed values in `fit` is set to 0, with a warning. NaN after the end of a sequence
        is always padding.
    prior : {'mixture', 'flow', 'auto', 'autoregressive', None} or density estimator, default='mixture'
        Density of the codes, from which `sample` draws. 'mixture' is a Gaussian mixture with full covariances, fitted
        after training to codes drawn from q(z|x), whose number of components maximizes the likelihood of held-out
        codes; with more than 200,000 samples it is fitted to a subsample, which keeps rare samples of large weight.
        'flow' is a normalizing flow (`skae.density.NormalizingFlow`), which takes longer to fit and is more accurate on
        many samples. 'auto' selects one of these two by the held-out likelihood. 'autoregressive' is for the integer
        codes of a discrete bottleneck (`skae.coding.Autoregressive`). A density estimator such as
        ``GaussianMixture(10)`` or ``KernelDensity()`` is fitted to the same codes. None is N(0, I). With classes, one
        density is fitted for each class, but a single flow is conditioned on the class; with real-valued targets, a
        mixture is fitted to codes and targets jointly, and a flow is conditioned on the targets. ``prior__*`` are its
        parameters, except for 'mixture' and 'auto'.
    critic : {'patch', 'dense'}, class or object, default=None
        A network that the decoder is trained against in a second phase, one of `skae.critics`: 'patch' for images,
        'dense' for tables. Samples and reconstructions become sharper, with a larger squared error and a lower
        likelihood. The codes and the prior do not change. Not available for `partial_fit`, missing values and sequences
        (``module='gru'``, ``'tcn'``).
    pooling : {None, 'mean', 'max'}, default=None
        Pooling of spatial codes in `transform`: None keeps all positions; 'mean' and 'max' reduce each channel to one
        number, so that images of any size have ``n_components`` features.
    alpha : float, default=0.0
        Strength of the penalty on the weights of the network; at least 0.
    l1_ratio : float, default=0.0
        Share of L1 in that penalty, in [0, 1], as in `sklearn.linear_model.ElasticNet`: ``alpha * (l1_ratio * |w|_1 +
        0.5 * (1 - l1_ratio) * |w|_2 ** 2)`` is added to the mean loss of the samples.

    optimizer : str or torch.optim class, default='adam'
        Optimizer; a string is the name of a class in `torch.optim`, case-insensitive.
    lr : float, default=2e-3
        Learning rate; the maximum with ``lr_schedule='onecycle'``.
    max_epochs : int or 'auto', default='auto'
        Maximum number of epochs. 'auto' chooses 20 to 100 epochs, for about 15,000 batches in total. With 0 the network
        is only initialized: to PCA, for the default network.
    batch_size : int, default=128
        Maximum number of samples in a batch; all batches of an epoch have nearly the same size.
    early_stopping : {'auto', True, False}, default='auto'
        Whether to hold out samples for validation, and keep the weights with the lowest validation loss. With 'auto'
        and fewer than 10 samples, all are used for both training and validation, and the initial weights are kept.
        False trains for ``max_epochs`` and keeps the last weights.
    validation_fraction : float, default=0.1
        Fraction of the samples to hold out, in (0, 1), rounded up; ignored if ``X_val`` is passed to `fit`.
    n_iter_no_change : int or np.inf, default=50
        Number of epochs without an improvement of ``tol`` after which training stops; np.inf for no early stop. With
        'onecycle' the loss usually improves until the end, so that the default rarely stops training; to stop early,
        use 5 to 10 with ``lr_schedule=None``.
    tol : float, default=1e-4
        Smallest relative decrease of the loss that counts as an improvement; at least 0.
    lr_schedule : {'onecycle', 'cosine', 'plateau', None}, default='onecycle'
        Schedule of the learning rate: one cycle up and down (Smith and Topin, 2019), cosine annealing (Loshchilov and
        Hutter, 2017), halved after ``n_iter_no_change // 2`` epochs (at least one) without improvement, or constant.
    callbacks : list of skorch callbacks, default=None
        Callbacks of the training, not copied. A callback stops training by raising KeyboardInterrupt. Ctrl-C does the
        same while a callback runs, and aborts `fit` at any other time.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, the optimizer's state, the means and the scale of the last fit.
    checkpoint : str or os.PathLike, default=None
        File that `fit` writes after every epoch and deletes at the end. The same `fit`, repeated after its process was
        killed, resumes from it and gives the same result, bit for bit on the CPU. Use one file for each concurrent
        `fit`.

    device : str or torch.device, default='auto'
        Device for training and inference; 'auto' is CUDA if available, else the CPU.
    distributed : bool, default=False
        Whether the processes started by ``torchrun`` train one estimator together. All processes run the same script on
        the same X; each computes its part of every batch, and all obtain the same estimator.
    precision : {'float32', 'bf16'}, default='float32'
        Precision of the training. With 'bf16' matrix products and convolutions run under ``torch.autocast``; weights,
        codes, losses and sums stay float32, and so do validation and inference. It is faster on GPUs and on processors
        with bfloat16 instructions.
    compile : bool, default=False
        Whether to compile the training step with `torch.compile`; names of weights do not change. Compilation takes up
        to a few minutes, which only pays off in long training, and requires a C++ compiler on the CPU. Noise then comes
        from other random number generators.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation split, the order of samples and the noise. Pass an int for
        reproducible results, bit for bit on the CPU. Global random states are neither read nor changed.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 prints a line for each epoch, with losses in the units of the data.
    **params
        ``module__*``, ``bottleneck__*``, ``loss__*``, ``noise__*``, ``prior__*``, ``critic__*``, ``optimizer__*``,
        ``callbacks__*``, ``iterator_train__*`` (``shuffle``, ``drop_last``, ``batch_size``) and ``iterator_valid__*``
        (``batch_size``): parameters of these parts, whether given as a string, a class or an object.

    Attributes
    ----------
    net_ : AutoencoderNet
        The trained `skorch.NeuralNet` with its history; its inputs are standardized samples.
    module_ : Autoencoder
        The trained torch module.
    n_components_ : int
        Width of the code, which is the number of columns returned by `transform`.
    prior_ : density estimator, or list of them
        The fitted ``prior``; with classes one for each of ``classes_``, unless it is a flow. After `partial_fit` it is
        fitted to the samples of the last call.
    active_units_ : int
        Number of components whose posterior mean has a variance above 0.01 over the training samples (Burda et al.,
        2016).
    explained_variance_ratio_ : ndarray of shape (n_components,)
        For an ordered bottleneck, the increase of the explained variance by each component, computed on the validation
        samples, or on the training samples if there are none. The sum of the first k is
        `skae.metrics.explained_variance` of the reconstruction from the first k components. Large validation sets are
        subsampled, and `partial_fit` uses at most 256 of its samples.
    alphabet_ : tuple of int or None
        For a discrete bottleneck, the number of levels of each integer of a code, per position; None for unbounded
        integers.
    code_usage_ : float
        Fraction of these levels that occur in the codes of X; for unbounded integers, the fraction that is not
        constant.
    code_perplexity_ : float
        exp(H), where H is the mean entropy of these integers: the equivalent number of equally frequent levels.
    code_model_ : object
        Entropy model of the integer codes, such as `skae.coding.Factorized`, for `skae.coding.compress`.
    classes_ : ndarray of shape (n_classes,)
        The sorted classes in y, if the estimator is conditional on classes.
    critic_curve_ : list of float
        With a critic, the distance between decoded and held-out samples, as defined by `skae.critics.Critic`, before
        the second phase and after each of its epochs. The decoder with the smallest distance is kept, which may be the
        initial one. With fewer than 10 held-out samples, training samples are used instead.
    input_shape_ : tuple of int
        Shape of one sample of X.
    layout_ : SequenceLayout or ImageLayout
        Layout of an image in X, if the network takes images or ``input_shape`` is set, or of a sequence whose channels
        come first. After training on crops, the shapes are those of a crop.
    target_layout_ : ImageLayout
        Layout of an image in ``X_target``, if its shape differs from X.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has string names for all of them.
    n_iter_ : int
        Number of epochs of the last `fit`, plus the number of calls of `partial_fit` since.
    loss_curve_ : list of float
        Mean training loss of each epoch, including penalties and noise, in the units of the data.
    validation_loss_curve_ : list of float
        Validation loss before the first epoch and after each epoch; empty without validation.
    best_epoch_ : int
        Epoch whose weights are kept; 0 stands for the initial weights, kept if no epoch is significantly better. If a
        second training run on few samples was better (see Notes), this, `n_iter_` and both curves describe that run.

    See Also
    --------
    AutoencoderTransformer : Autoencoder for codes and reconstructions, without likelihoods.
    skae.metrics : Metrics of generated samples.
    sklearn.mixture.GaussianMixture : Density of few features.

    Notes
    -----
    A linear skip connection initialized to probabilistic PCA helps on small tables, and with a dense network on MNIST.
    Convolutional networks reach a higher bound without it, and with ``lr=4e-3``: see ``docs/benchmarks.md``. For binary
    pixels (``loss='bernoulli'``) a randomly initialized skip connection helps.

    References
    ----------
    D. P. Kingma and M. Welling, 2014. Auto-encoding variational Bayes. ICLR.

    Y. Burda, R. Grosse and R. Salakhutdinov, 2016. Importance weighted autoencoders. ICLR.

    I. Higgins, L. Matthey, A. Pal, C. Burgess, X. Glorot, M. Botvinick, S. Mohamed and A. Lerchner, 2017. beta-VAE:
    learning basic visual concepts with a constrained variational framework. ICLR.

    P. Ghosh, M. S. M. Sajjadi, A. Vergari, M. Black and B. Schölkopf, 2020. From variational to deterministic
    autoencoders. ICLR.

    O. Rybkin, K. Daniilidis and S. Levine, 2021. Simple and effective VAE training with calibrated decoders. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import VAEGenerator
    >>> X, y = load_digits(return_X_y=True)
    >>> vae = VAEGenerator(8, conditional=True, max_epochs=20, random_state=0).fit(X, y)
    >>> vae.sample(3, random_state=0, y=7).shape
    (3, 64)
    >>> vae.transform(X).shape, vae.score_samples(X).shape
    ((1797, 8), (1797,))
    """

    _has_likelihoods = True
    classes_: np.ndarray
    active_units_: int

    def __init__(
        self,
        n_components=16,
        *,
        # model
        beta=1.0,
        importance_samples=1,
        conditional=False,
        input_shape=None,
        channel_axis="auto",
        crop_size="auto",
        n_crops="auto",
        augmentation=None,
        module="mlp",
        bottleneck=None,
        loss="gaussian",
        noise=None,
        missing="error",
        prior="mixture",
        critic=None,
        pooling=None,
        alpha=0.0,
        l1_ratio=0.0,
        # training
        optimizer="adam",
        lr=2e-3,
        max_epochs="auto",
        batch_size=128,
        early_stopping="auto",
        validation_fraction=0.1,
        n_iter_no_change=50,
        tol=1e-4,
        lr_schedule="onecycle",
        callbacks=None,
        warm_start=False,
        checkpoint=None,
        # run
        device="auto",
        distributed=False,
        precision="float32",
        compile=False,
        random_state=None,
        verbose=0,
        **params: Any,
    ):
        self.n_components = n_components
        self.beta = beta
        self.importance_samples = importance_samples
        self.conditional = conditional
        self.input_shape = input_shape
        self.channel_axis = channel_axis
        self.crop_size = crop_size
        self.n_crops = n_crops
        self.augmentation = augmentation
        self.module = module
        self.bottleneck = bottleneck
        self.loss = loss
        self.noise = noise
        self.missing = missing
        self.prior = prior
        self.critic = critic
        self.pooling = pooling
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.optimizer = optimizer
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.lr_schedule = lr_schedule
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.device = device
        self.distributed = distributed
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose
        self._extra = params

    # ---------------------------------------------------------------- fitting

    @names_arguments
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        X_target: Any = None,
        X_val: Any = None,
        X_val_target: Any = None,
        y_val: Any = None,
        sample_weight: Any = None,
    ) -> VAEGenerator:
        """Train on X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...), or list of arrays
            Real-valued samples of any range and dtype; at least 2. NaN is allowed with ``missing='mask'``, and as
            padding at the end of sequences if the network reads padding. A list or a DataFrame column may hold images
            (arrays, tensors or PIL images) or sequences (length, channels) of different lengths. Images must have the
            same size, unless the network accepts any size (``module__dense=False``): then X may also be a torch Dataset
            or another sequence of images, and one image is enough.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            Classes or targets of the samples, if ``conditional``; ignored otherwise.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            Target of the reconstruction, such as clean samples for a noisy X; X if None. NaN is left out, where X may
            contain it. For image translation with ``module='conv'``, the target may have other channels than X, or an
            integer multiple of its height and width.
        X_val : {array-like, sparse matrix} with samples of X's shape, default=None
            Validation samples, used instead of a fraction of X. If they do not fit into memory, they are read in every
            epoch, unless there is a ``noise``.
        X_val_target : {array-like, sparse matrix} of the shape of ``X_val``, default=None
            Targets of ``X_val``; required if ``X_target`` and ``X_val`` are given.
        y_val : array-like, default=None
            Classes or targets of ``X_val``; required if ``conditional`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Non-negative sample weights, applied in the loss, the means, the scale, the initialization and the prior.
            Samples of weight 0 are ignored, and only ratios of weights matter. Because of minibatches, a weight of 2 is
            not the same as repeating a sample.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid; the message names it.
        FloatingPointError
            If a loss is not finite. After any error the estimator is unchanged.
        MemoryError
            If a layer is too large for this machine.

        Warns
        -----
        ConvergenceWarning
            If no component is active: the posterior has collapsed onto N(0, I), and codes contain no information.
        UserWarning
            If y is ignored and has the shape of X, which suggests that ``X_target`` was meant; and if one column of a
            table has more than 99.9 % of the variance, so that the others would be neglected: scale the columns first.
        """
        self._fit(
            X,
            y,
            X_target=X_target,
            X_val=X_val,
            X_val_target=X_val_target,
            y_val=y_val,
            sample_weight=sample_weight,
        )
        return self

    @available_if(goes_by_epochs)
    @names_arguments
    def partial_fit(
        self, X: Any, y: Any = None, *, X_target: Any = None, sample_weight: Any = None, classes: Any = None
    ) -> VAEGenerator:
        """Train for one more epoch on X.

        The first call determines the means, the scale, the initialization and the classes, so its X should be
        representative. There is no validation, no schedule and no output, and the weights after the epoch are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples; at least 2 in the first call.
        y : array-like, default=None
            As in `fit`.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`. In the loss, weights are divided by their mean in each call, so only ratios within a call
            matter. To give a call more influence, pass more samples or call it more often. In the class frequencies
            used by `sample`, the weights of all calls add up.
        classes : array-like of shape (n_classes,), default=None
            All classes that can occur in y, for the first call; the classes of the first y if None.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid; the message names it.
        FloatingPointError
            If a loss is not finite. After any error the estimator is unchanged.
        MemoryError
            If a layer is too large for this machine.

        Warns
        -----
        ConvergenceWarning
            As in `fit`.
        """
        self._fit(X, y, one_epoch=True, X_target=X_target, sample_weight=sample_weight, classes=classes)
        return self

    def _resolve(self) -> ModelSpec:
        check_number("beta", self.beta, numbers.Real, 0)
        check_number("importance_samples", self.importance_samples, numbers.Integral, 1)
        check_choice("conditional", self.conditional, (False, True, "classes", "targets"))
        if self.bottleneck is not None and (self.beta != 1 or self.importance_samples != 1):
            raise ValueError(
                "beta and importance_samples are parameters of the default bottleneck: set them on your own bottleneck "
                f"instead. Got bottleneck={self.bottleneck!r}, beta={self.beta}, "
                f"importance_samples={self.importance_samples}."
            )
        for name in ("beta", "importance_samples"):
            if self.bottleneck is None and f"bottleneck__{name}" in self._extra:
                raise TypeError(f"bottleneck__{name} is a parameter of VAEGenerator itself: set {name}.")
        return super()._resolve()

    def _default_bottleneck(self) -> Gaussian:
        return Gaussian(self.beta, importance_samples=self.importance_samples)

    def _network_params(self) -> dict[str, Any]:
        given, (cls, own) = super()._network_params(), unwrapped(find_network(self.module))
        is_conv = isinstance(cls, type) and issubclass(cls, Conv)
        return {"linear_skip": False} | given if is_conv and "linear_skip" not in own else given

    def _reads_images(self, network: Any) -> bool:
        return declares(network, "reads_images")

    def _describe_codes(self, net: Any, data: FitData, seed: int, earlier: Any) -> dict[str, Any]:
        """Fit the prior to draws from the posteriors of the samples, and warn if these have collapsed."""
        module, runner = net.module_, BatchRunner(net.module_, net.device)
        described: dict[str, Any] = {}
        if module.is_variational:
            codes = runner.run(module.distribution, data.X).numpy()
            described["active_units_"] = _count_active(codes[:, 0], data.sample_weight)
            if described["active_units_"] == 0 and _has_several_features(data):  # with one there is nothing to encode
                _warn_of_collapse(module)
        else:
            codes = runner.run(module.encode, data.X).numpy()
        if self.prior is not None:
            described["prior_"] = self._fit_prior(codes, net, data, seed, earlier)
        return described

    # ---------------------------------------------------------------- encoding and decoding

    @available_if(_is_variational)
    @return_input_type
    def transform_distribution(self, X: Any) -> tuple[Any, Any]:
        """Encode X as distributions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.

        Returns
        -------
        mean : ndarray or Tensor of shape (n_samples, n_components), float32
            Means of the posteriors q(z|x), as returned by `transform`.
        std : ndarray or Tensor of shape (n_samples, n_components), float32
            Standard deviations of the posteriors.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        both = self._run(self.module_.distribution, X, gives="code")
        if isinstance(both, Tensor):
            return both[:, 0], both[:, 1]
        return self._maps([codes[0] for codes in both], X), self._maps([codes[1] for codes in both], X)

    @renamed_argument("Z", "X", since="0.3", until="0.5")
    @return_input_type
    def inverse_transform(self, X: Any, y: Any = None, *, size: Any = None) -> Any:
        """Decode codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components), or list of arrays
            Codes, as returned by `transform`. For images of any size also code maps (n_samples, n_components, h, w), or
            a list of maps (n_components, h, w). With an ordered bottleneck also the first components alone: the first
            columns, or the first channels of a spatial code.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the samples, for a conditional estimator.
        size : int, (height, width) or list of such, default=None
            Size of the images, or of each image of a list, if the network accepts any size. If None, the size of `fit`
            or, for maps of another size, the size that corresponds to the map.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Decoded samples, in the units of X in `fit`; float64 if that was float64 or integers beyond the precision of
            float32, float32 otherwise. Sequences have the length of those of `fit`.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        return self._decode_given(X, y, size)

    @available_if(has_integer_codes)
    @return_input_type
    def from_indices(self, indices: Any, y: Any = None, *, size: Any = None) -> Any:
        """Decode integer codes, for a discrete bottleneck.

        Parameters
        ----------
        indices : array-like of shape (n_samples, n_integers) or (n_samples, n_integers, h, w), or list of arrays
            Integers, as returned by `indices`.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the samples, for a conditional estimator.
        size : int, (height, width) or list of such, default=None
            Size of the images, or of each image of a list, if the network accepts any size. If None, the size of `fit`
            or, for maps of another size, the size that corresponds to the map.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Decoded samples, as returned by `inverse_transform`.

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid.
        """
        check_is_fitted(self)
        return self._decode_given(codes_of_integers(self, indices), y, size)

    @return_input_type
    def reconstruct(self, X: Any, y: Any = None, *, keep_observed: bool = False) -> Any:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        y : array-like, default=None
            Classes or targets of the samples, for a conditional estimator. If None, each sample is assigned the most
            likely class, or the most likely of 32 targets of the training data, at the cost of `score_samples`.
        keep_observed : bool, default=False
            Whether to replace only missing values and keep the observed ones, for ``missing='mask'``.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape, or list of ndarray, float32; with ``keep_observed`` of X's dtype
            Decoded means of the posteriors; a list for a list of images of any size.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X = self._check_fitted_rows(X)
        return self._reconstruct(X, keep_observed, self._likely_condition(X, y))

    def _likely_condition(self, X: Any, y: Any) -> np.ndarray | None:
        """Return the conditions of samples: those of ``y``, or without it the most likely ones."""
        if not self._context or y is not None:
            return self._context.of_samples(y, len(X))
        conditions, _ = self._context.alternatives()
        return conditions[as_array(self._bounds(X, X, conditions, None).argmax(1))]

    # ---------------------------------------------------------------- likelihood

    @return_input_type
    def score_samples(
        self, X: Any, y: Any = None, *, X_target: Any = None, n_importance_samples: int | None = None
    ) -> Any:
        r"""Compute a lower bound of the log-likelihood of each sample, in nats.

        It is the evidence lower bound, :math:`E_{q(z|x)} \log p(x|z) - \mathrm{KL}(q(z|x) \| p(z))`, for any ``beta``
        in training; the divergence is exact, and the expectation is a mean over 32 codes. All samples share the same
        random numbers, and repeated calls give the same result. p(z) is N(0, I), not ``prior_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        y : array-like, default=None
            Classes or targets of the samples, for a conditional estimator; the bound is then one of log p(x|y). If
            None, it is a bound of log p(x), computed over all classes with their frequencies in `fit`, or over 32
            targets of the training data, at that multiple of the cost.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            Samples whose likelihood is computed, if they differ from the encoded ones; X if None.
        n_importance_samples : int, default=None
            Number of codes for the tighter bound :math:`\log \tfrac1k \sum_{i \le k} p(x, z_i) / q(z_i|x)` (Burda et
            al., 2016) instead of the evidence lower bound. With 500 or more it is close to the log-likelihood, at the
            cost of that many decodings.

        Returns
        -------
        scores : ndarray or Tensor of shape (n_samples,), float32
            The bound in nats, of the density of X in its original units (of the probability, for integers): the higher,
            the more likely. Missing values are left out; the score of a sample without observed values is NaN. If the
            loss is not a likelihood, the score is minus the loss and the divergence, in units of the loss rather than
            nats; for a bottleneck without a distribution it is minus the loss, as in `AutoencoderTransformer`.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        return self._in_float32(self._scores(X, y, X_target, n_importance_samples))

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        X_target: Any = None,
        n_importance_samples: int | None = None,
    ) -> float:
        """Compute the mean of `score_samples`, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        y : array-like, default=None
            Classes or targets of the samples, for a conditional estimator; ignored otherwise.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Sample weights.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `score_samples`.
        n_importance_samples : int, default=None
            As in `score_samples`.

        Returns
        -------
        score : float
            The mean score; greater is better. Samples without observed values are left out.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        scores = as_array(self._scores(X, y, X_target, n_importance_samples))
        weight, known = check_sample_weight(sample_weight, len(scores)), ~np.isnan(scores)
        if not weight[known].any():
            raise ValueError("score needs at least one value that is not NaN, in a row of positive weight.")
        return float(np.average(scores[known], weights=weight[known]))

    def _scores(self, X: Any, y: Any, X_target: Any, n_importance_samples: int | None) -> Tensor:
        given, (X, target) = X, self._check_rows_and_target(X, X_target, in_domain=True)
        if X_target is None and not self._context:
            warn_of_target(y, X, given)
        if n_importance_samples is not None:
            check_number("n_importance_samples", n_importance_samples, numbers.Integral, 1)
            if not self.module_.is_variational:
                raise ValueError("n_importance_samples needs a bottleneck that gives distributions.")
        if self._context and y is None:
            conditions, shares = self._context.alternatives()
            # Conditions are weighted in units of the loss, which equal those of the scores only for a likelihood.
            unit = self.module_.in_data_units(1.0, 0)
            bounds = self._bounds(X, target, conditions, n_importance_samples)
            return unit * torch.logsumexp(bounds / unit + torch.from_numpy(np.log(shares)).to(bounds), 1)
        c = self._context.of_samples(y, len(X)) if self._context else None
        return self._bound(X, target, c, n_importance_samples)

    def _bounds(self, X: Any, target: Any, conditions: np.ndarray, n_importance_samples: int | None) -> Tensor:
        """Return the bound of each sample under each condition, (n_samples, n_conditions)."""
        everywhere = (np.broadcast_to(c, (len(X), len(c))) for c in conditions)
        return torch.stack([self._bound(X, target, c, n_importance_samples) for c in everywhere], 1)

    def _bound(self, X: Any, target: Any, c: np.ndarray | None, n_importance_samples: int | None) -> Tensor:
        module = self.module_
        if not module.is_variational:
            return -self._losses(module.reconstruction_loss, X, target, c)
        importance = n_importance_samples is not None
        noise: dict[int, Tensor] = {}  # by code width, which depends on the image size

        def loss(x: Any, target: Any, c: Any = None) -> Any:
            width = module.n_codes_of(x)
            if width not in noise:
                noise[width] = common_noise(n_importance_samples or _N_DRAWS, width, antithetic=not importance)
            return -lower_bound(module, x, target, c, noise[width], importance=importance)

        return -self._losses(loss, X, target, c, gives=None)

    # ---------------------------------------------------------------- sampling

    @available_if(_generates)
    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        y: Any = None,
        noisy: bool | str = "auto",
        size: Any = None,
    ) -> np.ndarray:
        """Generate samples: draw codes from ``prior_``, or from N(0, I) with ``prior=None``, and decode them.

        Tables and sequences are drawn from the likelihood p(x|z), so that features have the same variance as in X.
        Images are its mean, without noise in the pixels.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across calls.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets, for a conditional estimator: one for all samples, or one for each, so that ``n_samples``
            can be omitted. If None, they are drawn from their distribution in `fit`.
        noisy : {'auto', True, False}, default='auto'
            Whether to draw samples from the likelihood p(x|z), or return its mean. True needs a loss that is a
            likelihood. 'auto' draws if the loss is a likelihood, except for images: samples that the network takes for
            images, and samples with several axes that are not sequences. Pass False for flattened images, or set
            ``input_shape`` of the estimator. A decoder trained against a critic returns the mean, which is what the
            critic has compared with data.

            .. versionchanged:: 0.3
               The default was False.
        size : int or (height, width), default=None
            Size of the images, for a network that accepts any size (``module='conv', module__dense=False``); the size
            of `fit` if None. After training on crops, the codes at different positions are drawn independently, except
            with ``prior='autoregressive'``, which generates codes of any size.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
            Generated samples in the units of X in `fit`, with the dtype of `inverse_transform`.

        Raises
        ------
        NotFittedError
            Before `fit`, or if ``prior`` was set after it.
        ValueError, TypeError
            If an argument is invalid, such as ``y`` for an estimator that is not conditional, or ``noisy=True`` for a
            loss that is not a likelihood.
        """
        self._check_sampling(n_samples)
        noisy = self._is_noisy(noisy)
        size = self._sample_size(size)
        y = as_array(y)
        seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(4)
        if n_samples == 1 and self._context and y is not None and not self._context.is_single(y):
            n_samples = len(y) or 1  # an empty y raises an error below
        if self._context and y is None:
            c = self._context.draw(n_samples, np.random.default_rng(seeds[0]))
        else:
            c = self._context.of_samples(y, n_samples)
        codes = self._draw_codes(n_samples, c, int(seeds[1]), size)
        return self._decode_seeded(codes, c, int(seeds[2]), noisy, size=size).numpy()

    _priors_of_any_size = "prior=None or 'autoregressive'"

    def _draw_codes(self, n: int, c: np.ndarray | None, seed: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Draw codes from ``prior_``, or from N(0, I), given conditions, for images of ``size``."""
        if self.prior is not None:
            return super()._draw_codes(n, c, seed, size)
        width = self.n_components_
        if size is not None:
            width = self.module_.n_components * math.prod(self.module_.code_size(size))
        return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)

    def _decode_seeded(
        self,
        codes: np.ndarray | Tensor,
        c: np.ndarray | None,
        seed: int,
        noisy: bool,
        like: Tensor | None = None,
        size: Any = None,
    ) -> Tensor:
        if not noisy:
            return self._decode(codes, c, like, size=size)
        with Stream(seed, self.net_.device):
            return self._decode(codes, c, like, noisy=True, size=size)

    def _is_noisy(self, noisy: Any) -> bool:
        """Return whether to draw from the likelihood, resolving 'auto'."""
        check_choice("noisy", noisy, ("auto", True, False))
        loss = self.module_.loss
        if noisy == "auto":
            has_draws = isinstance(loss, Likelihood) and type(loss).sample is not Likelihood.sample
            has_noise = np.argmin(vars(self).get("critic_curve_", [0])) > 0  # learned from the critic
            return has_draws and not has_noise and not self._has_images()
        if noisy and not isinstance(loss, Likelihood):
            raise ValueError(f"noisy=True needs a loss that is a likelihood, got {loss!r}.")
        return bool(noisy)

    def _has_images(self) -> bool:
        """Return whether samples are images, by the network or by their number of axes."""
        if self._layout is not NO_LAYOUT:
            return self._layout.is_image
        return len(self.input_shape_) > 1 and not self.module_.reads_padding

    @available_if(_is_variational)
    @renamed_argument("n_samples", "n_draws", since="0.3", until="0.5")
    @return_input_type
    def sample_posterior(
        self,
        X: Any,
        y: Any = None,
        *,
        n_draws: int = 1,
        random_state: int | np.random.RandomState | None = None,
        noisy: bool | str = "auto",
    ) -> Any:
        """Generate variations of X by decoding codes drawn from the posterior q(z|x) of each sample.

        With ``missing='mask'`` these are draws from the distribution of the missing values (multiple imputation).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, as an array or a list; a single image or sequence is one sample.
        y : array-like, default=None
            Classes or targets of the samples, for a conditional estimator; as in `reconstruct`.
        n_draws : int, default=1
            Number of draws for each sample.

            .. versionchanged:: 0.3
               It was ``n_samples``, which is accepted until 0.5.
        random_state : int, RandomState instance or None, default=None
            Pass an int for reproducible output across calls.
        noisy : {'auto', True, False}, default='auto'
            Whether to draw from the likelihood, or return its mean; as in `sample`.

            .. versionchanged:: 0.3
               The default was False.

        Returns
        -------
        X : ndarray or Tensor of shape (n_draws, n_samples, n_features) or (n_draws, n_samples, ...)
            The draws, with the dtype of `inverse_transform`. Sequences have the lengths of those in X.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X = self._check_fitted_array(X)
        check_number("n_draws", n_draws, numbers.Integral, 1)
        noisy = self._is_noisy(noisy)
        c = self._likely_condition(X, y)
        seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(2)
        mean, deviation = self._run(self.module_.distribution, X).unbind(1)
        noise = np.random.default_rng(seeds[0]).standard_normal((n_draws, *mean.shape), dtype=np.float32)
        codes = (mean + deviation * torch.from_numpy(noise).to(mean)).flatten(0, 1)
        c = None if c is None else np.tile(c, (n_draws, 1))
        like = to_tensor(X[:]).repeat(n_draws, *[1] * (X.ndim - 1)) if self.module_.reads_padding else None
        rows = self._decode_seeded(codes, c, int(seeds[1]), noisy, like, self._size_of(X))
        return rows.reshape(n_draws, len(X), *rows.shape[1:])

    @return_input_type
    def interpolate(self, X_a: Any, X_b: Any, n_steps: int = 10, *, y: Any = None, method: str = "spherical") -> Any:
        """Interpolate between samples by decoding codes between theirs.

        Each step is the mean of p(x|z), without noise, so that samples change smoothly.

        Parameters
        ----------
        X_a, X_b : array-like of shape (n_rows, n_features) or (n_rows, ...)
            Start and end points.
        n_steps : int, default=10
            Number of steps, including the reconstructions of both end points; at least 2. Sequences have the length of
            those of `fit`, for end points of any length.
        y : array-like, default=None
            Classes or targets, for a conditional estimator: one for all, or one for each pair of samples.
        method : {'spherical', 'linear'}, default='spherical'
            'linear' interpolates along a straight line, through codes closer to 0 than both ends, where in high
            dimensions there are hardly any samples; 'spherical' rotates one code into the other about 0 (White, 2016)
            while its norm changes linearly.

        Returns
        -------
        X : ndarray or Tensor of shape (n_rows, n_steps, n_features) or (n_rows, n_steps, ...)
            The interpolated samples, with the dtype of `inverse_transform`.

        Raises
        ------
        ValueError
            If an argument is invalid, or X is so far from the training data that the result is not finite.
        """
        X_a = self._check_fitted_array(X_a, "X_a")
        X_b = check_same_shape(self, X_b, "X_b", X_a, same_length=False, beside="X_a", nan=self._nan)
        if len(X_b) != len(X_a):
            raise ValueError(f"X_b must have the shape {tuple(X_a.shape)} of X_a, got {tuple(X_b.shape)}.")
        check_number("n_steps", n_steps, numbers.Integral, 2)
        check_choice("method", method, ("spherical", "linear"))
        c = self._context.of_samples(y, len(X_a))
        a, b = (self._run(self.module_.encode, X)[:, None].double() for X in (X_a, X_b))
        b, t = b.to(a), torch.linspace(0, 1, n_steps, dtype=a.dtype, device=a.device)[:, None]
        codes = _spherical(a, b, t) if method == "spherical" else a + t * (b - a)
        c = None if c is None else np.repeat(c, n_steps, axis=0)
        rows = self._decode(codes.flatten(0, 1).float(), c, size=self._size_of(X_a))
        return rows.reshape(len(X_a), n_steps, *rows.shape[1:])


def _count_active(means: np.ndarray, sample_weight: np.ndarray | None) -> int:
    present = means if sample_weight is None else means[sample_weight > 0]
    return int((present.var(axis=0, dtype=np.float64) > _ACTIVE).sum())


def _has_several_features(data: FitData) -> bool:
    """Whether more than one value of a sample varies over the samples of positive weight."""
    X, weight = data.X, data.sample_weight
    parts = (X[s] if weight is None else X[s][weight[s] > 0] for s in slices(X) if weight is None or weight[s].any())
    ends = [(np.fmin.reduce(rows, axis=0), np.fmax.reduce(rows, axis=0)) for rows in parts]
    low, high = np.fmin.reduce([low for low, _ in ends]), np.fmax.reduce([high for _, high in ends])
    return int((low < high).sum()) > 1


def _warn_of_collapse(module: Any) -> None:
    beta = getattr(module.bottleneck, "beta", None)  # a custom bottleneck may have none
    warn(
        "No component of the code is active: the posterior has collapsed onto N(0, I), and all codes are the same. "
        f"Try more epochs, a lower beta{'' if beta is None else f' (now {beta})'}, "
        "bottleneck=Gaussian(free_bits=0.1) or a longer warmup, a smaller network or a lower lr; if X has no "
        "structure, there is nothing to encode.",
        ConvergenceWarning,
    )


def _spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Interpolate spherically from ``a`` to ``b``, both (n, 1, k), at fractions ``t``, (steps, 1).

    Norms change linearly. Codes on one line through 0 define no plane of rotation, and are interpolated linearly.
    """
    length_a, length_b = (z.norm(dim=2, keepdim=True) for z in (a, b))
    angle = (a / length_a * (b / length_b)).sum(2, keepdim=True).clamp(-1, 1).acos()
    direction = (((1 - t) * angle).sin() * (a / length_a) + (t * angle).sin() * (b / length_b)) / angle.sin()
    turned = ((1 - t) * length_a + t * length_b) * direction
    return torch.where(angle.sin() > 1e-6, turned, a + t * (b - a))
