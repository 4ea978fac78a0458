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
_N_DRAWS = 32  # codes that the evidence lower bound is a mean over


def _is_variational(estimator: Any) -> bool:
    """For methods that are there only where codes are distributions, as far as is known."""
    if hasattr(estimator, "net_") and not estimator.module_.is_variational:
        raise AttributeError(
            "transform_distribution and sample_posterior need a bottleneck that gives distributions, such as the "
            f"default, bottleneck=None; got {estimator.module_.bottleneck!r}."
        )
    return True


def _generates(estimator: Any) -> bool:
    if estimator.prior is None and hasattr(estimator, "net_") and not estimator.module_.bottleneck.standard_normal:
        raise AttributeError("sample needs a density over the codes: set prior, for example prior='mixture'.")
    return True


class VAEGenerator(BaseAutoencoder):
    r"""Variational autoencoder: generates rows like those of X, and tells how likely a row is.

    A code z of ``n_components`` numbers is distributed as N(0, I), and a decoder makes of it the distribution p(x|z) of
    a row. An encoder gives for each row the distribution q(z|x) of the codes that it may have come from. Both are
    trained to raise the evidence lower bound of the row's log-likelihood, in nats (Kingma and Welling, 2014):

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x|z) - \beta \, \mathrm{KL}\left(q(z|x) \,\|\, N(0, I)\right),
              \qquad \beta = 1.

    With the default ``loss='gaussian'`` the width of p(x|z) follows from the data, so no weight between the two terms
    is left to guess. The default network starts as probabilistic PCA, and is validated on held-out samples.

    **Where samples come from.** By default codes come from ``prior_``, a Gaussian mixture fitted to the codes of the
    rows after training, not from N(0, I) (``prior=None``): the codes of all rows together do not fill N(0, I), and
    where none of them lie the decoder has learned nothing. ``docs/benchmarks.md`` has what that is worth on images.
    Samples of tables and sequences are drawn from p(x|z), those of images are its mean: see ``noisy`` of `sample`.

    Parameters
    ----------
    n_components : int or float, default=16
        Latent size; at least 1. Components that the data do not need go unused, at no cost but time. With an ordered
        bottleneck ('nested') also a share of the variance in (0, 1), as in PCA: a larger number is fitted, and the
        smallest one kept whose `explained_variance_ratio_` add up to it, with a warning where none does.

    beta : float, default=1.0
        Weight of the divergence; at least 0. Above 1 codes are simpler and reconstructions coarser (Higgins et al.,
        2017). It goes to the default bottleneck; another one has parameters of its own.
    importance_samples : int, default=1
        Codes drawn for each row while training; more than one train the bound of importance-weighted autoencoders
        (Burda et al., 2016), at so many times the decoder's cost. It goes to the default bottleneck.
    conditional : {False, True, 'classes', 'targets'}, default=False
        Whether the decoder is conditioned on y, so that samples are generated for a given y. True takes y of integers,
        strings or bools, and of floats that are all whole numbers, for classes, and other numbers for real targets;
        'classes' and 'targets' say which.
    input_shape : tuple of int, default=None
        Shape of one image, where X has flat rows: (height, width), (height, width, channels) or (channels, height,
        width). One side may be -1, as in `numpy.reshape`. A square gray image needs none.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Which axis of an image holds its channels, as in scikit-image: 0 for (channels, height, width), -1 for
        (height, width, channels), None for (height, width). 'auto' takes the first or the last if just one of them
        has 1, 3 or 4 entries, and asks otherwise. Of sequences (``module='gru'`` or
        ``'tcn'``) 0 stands for (channels, length), and -1 or 'auto' for (length, channels).
    crop_size : 'auto', int or (height, width), default='auto'
        Size of the crops, in pixels, that a network for images of any size (``module__dense=False``) is trained on.
        'auto' trains on whole images where there are several, all of one size of at most 128 × 128. Otherwise crops are
        64 × 64, or of the shortest side there is; of half of it for a single image.
    n_crops : int or 'auto', default='auto'
        Crops that are drawn anew in every epoch. 'auto' takes as many as cover the images once, at least 8 batches and
        at most 16,384, or one for each image where these are more.
    augmentation : {None, 'flip', 'flip_rotate', 'flip_rotate_scale'}, default=None
        How crops, or whole images, are turned at random: 'flip' mirrors left and right; 'flip_rotate' takes one of the
        eight flips and quarter turns, for square crops; 'flip_rotate_scale' also resamples windows of half to twice
        the size of a crop, as far as the image goes.
    module : {'mlp', 'conv', 'gru', 'tcn'}, class or nn.Module, default='mlp'
        The network. A string is one of `skae.nn`; 'conv' takes images in any layout, as `ConvAutoencoder` does, and so
        does every class with an attribute ``reads_images = True``. It goes without its linear skip unless
        ``module__linear_skip=True`` asks for it: the bound is higher (see Notes). A class (or a callable) with
        ``encode`` and ``decode`` is called with whichever of ``input_shape``, ``n_components`` and ``n_outputs`` its
        signature names, and with ``module__*``: `encode` must give ``n_outputs`` numbers, twice the latent size, and
        `decode` take ``n_components``, plus the numbers that y becomes. A module is copied at every fit.
    bottleneck : {'gaussian', 'total_correlation', 'mmd', 'squared_norm', ...}, class or object, default=None
        Regularization or transformation of the code, one of `skae.bottlenecks`;
        ``Gaussian(beta, importance_samples=...)`` when None.
        `~skae.bottlenecks.MMD` makes a Wasserstein autoencoder, `~skae.bottlenecks.TotalCorrelation` a β-TCVAE,
        `~skae.bottlenecks.SquaredNorm` the regularized autoencoder of Ghosh et al. (2020).
    loss : {'gaussian', 'laplace', 'bernoulli', 'discretized_logistic', ...}, class or object, default='gaussian'
        Minus the log-likelihood of a row, one of `skae.losses`. 'bernoulli' needs X in [0, 1],
        'discretized_logistic' integers from 0 to 255, 'poisson' and 'negative_binomial' counts; `~skae.losses.Mixed`
        has a loss for each group of columns.
    noise : {'gaussian_noise', 'masking_noise', ...}, class or object, default=None
        Corruption applied to the inputs while training, one of `skae.noise`, for a denoising autoencoder. Validation
        samples are corrupted once, so that the validation loss is that of denoising.
    missing : {'error', 'mask'}, default='error'
        What NaN in X means. 'error' refuses it; 'mask' takes it for a value that is not known: it enters the network as
        the mean of its feature (in sequences, of its channel), is left out of the loss, and `reconstruct` fills it in.
        Train with a masking ``noise`` too: the network learns from filling in known values. A feature without a known
        value in `fit` becomes 0, and a warning names it. After the end of a sequence NaN is padding in any case.
    prior : {'mixture', 'flow', 'auto', 'autoregressive', None} or density estimator, default='mixture'
        What `sample` draws codes from. 'mixture' is a Gaussian mixture with full covariances, fitted after training to
        codes drawn from q(z|x), its size chosen by the likelihood of rows held out from it; of more than 200,000 rows
        it is fitted to a sample, in which rare ones of large weight are kept. 'flow' is a normalizing flow
        (`skae.density.NormalizingFlow`): of many rows a better density, for more time. 'auto' fits both and takes the
        one that rows held out are likelier by. None is N(0, I); a density estimator such as ``GaussianMixture(10)`` or
        ``KernelDensity()`` is fitted to the same codes. For classes one is fitted for each, but a flow is one given the
        class; for real targets a mixture is fitted to codes and targets together, and a flow given targets.
        'autoregressive' is for the integer codes of a discrete bottleneck (`skae.coding.Autoregressive`). ``prior__*``
        are parameters of any but 'mixture' and 'auto'.
    critic : {'patch', 'dense'}, class or object, default=None
        A network that the decoder is trained against in a second phase, one of `skae.critics`: 'patch' for images,
        'dense' for rows. Samples and reconstructions become sharper, at a larger squared error and a lower likelihood.
        Codes and prior stay those of the model without it. Not for `partial_fit`, with missing values, or for
        networks of sequences (``module='gru'``, ``'tcn'``).
    pooling : {None, 'mean', 'max'}, default=None
        What `transform` does with a spatial code: None keeps all positions; 'mean' and 'max' reduce each channel to a
        single number, so that images of any size have ``n_components`` features.
    alpha : float, default=0.0
        Strength of the penalty on the network's weights; at least 0.
    l1_ratio : float, default=0.0
        Share of L1 in that penalty, in [0, 1], as in `sklearn.linear_model.ElasticNet`:
        ``alpha * (l1_ratio * |w|_1 + 0.5 * (1 - l1_ratio) * |w|_2 ** 2)`` is added to the mean loss of the rows.

    optimizer : str or torch.optim class, default='adam'
        A string is the name of a class in `torch.optim`, in any case.
    lr : float, default=2e-3
        Learning rate; with ``lr_schedule='onecycle'`` the highest.
    max_epochs : int or 'auto', default='auto'
        Passes over the rows. 'auto' takes as many as make 15,000 batches, from 20 to 100. With 0 the
        estimator is its start: PCA, for the default network.
    batch_size : int, default=128
        Rows in a batch, at most; all batches of an epoch have nearly the same size.
    early_stopping : {'auto', True, False}, default='auto'
        Whether samples are held out for validation, and the weights of the lowest validation loss kept. With 'auto'
        fewer than 10 samples are all trained on and validated on, and the start is kept. False trains for
        ``max_epochs`` and keeps the last weights.
    validation_fraction : float, default=0.1
        Share of the rows to hold out, in (0, 1), rounded up; not used where `fit` is given ``X_val``.
    n_iter_no_change : int or np.inf, default=50
        Epochs without an improvement of ``tol`` after which training stops; np.inf for never. 'onecycle' improves until
        its end, so 50 of 100 epochs hardly ever stop it: to stop early, take 5 to 10 with ``lr_schedule=None``.
    tol : float, default=1e-4
        Relative improvement of the loss that counts as one; at least 0.
    lr_schedule : {'onecycle', 'cosine', 'plateau', None}, default='onecycle'
        How the learning rate moves: up and down once (Smith and Topin, 2019), down along a cosine (Loshchilov and
        Hutter, 2017), halved after ``n_iter_no_change // 2`` epochs (at least one) without improvement, or not at all.
    callbacks : list of skorch callbacks, default=None
        Used as they are, not copied. A callback stops training by raising KeyboardInterrupt; Ctrl-C pressed while one
        of them runs does the same, and at any other moment leaves `fit`.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights and the optimizer's state of the last one, keeping its means and scale.
    checkpoint : str or os.PathLike, default=None
        A file that `fit` writes after every epoch and deletes when it is done. After a kill the same `fit` goes on from
        it, to the same result, on the CPU to the bit. One file serves one `fit` at a time.

    device : str or torch.device, default='auto'
        Where to train and to predict; 'auto' is CUDA where there is one, else the CPU.
    distributed : bool, default=False
        Whether the processes that ``torchrun`` has started train one estimator together. All of them run the same
        script, with the same X; each takes its share of every batch, and all end with the same estimator.
    precision : {'float32', 'bf16'}, default='float32'
        What the network computes in while it is trained. With 'bf16' matrix products and convolutions are those of
        ``torch.autocast``; weights, codes, losses and sums stay float32, and so does all that is done with the trained
        network, validation included. It pays on GPUs, and on processors with instructions for it.
    compile : bool, default=False
        Whether `torch.compile` translates the passes of training; the names of the weights stay. It takes up to some
        minutes, which long trainings pay back, and on the CPU a C++ compiler. Noise is drawn by other generators then.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the hold-out, the order of rows and the noise. With an int the results repeat, on the CPU
        to the bit. Global random streams are neither read nor moved.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 prints a line for each epoch; losses in the data's own units.
    **params
        ``module__*``, ``bottleneck__*``, ``loss__*``, ``noise__*``, ``prior__*``, ``critic__*``, ``optimizer__*``,
        ``callbacks__*``, ``iterator_train__*`` (``shuffle``, ``drop_last``, ``batch_size``) and ``iterator_valid__*``
        (``batch_size``): parameters of what those slots hold, by a string, a class or an object.

    Attributes
    ----------
    net_ : AutoencoderNet
        The trained `skorch.NeuralNet`, with its history; it works on standardized samples.
    module_ : Autoencoder
        The trained torch module.
    n_components_ : int
        Width of the code, the number of columns that `transform` returns.
    prior_ : density estimator, or list of them
        The fitted ``prior``; for classes one for each of ``classes_``, unless it is a flow. After `partial_fit` that of
        the latest rows.
    active_units_ : int
        Components whose mean varies by more than 0.01 over the rows trained on (Burda et al., 2016); others are idle.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        For an ordered bottleneck, what each component adds to the share of the variance that is reconstructed, from the
        rows held out, or ``X_val``; from the training rows where there are none. The first k add up to
        `skae.metrics.explained_variance` of what `inverse_transform` makes of the first k components. Of many rows some
        are enough, and `partial_fit` takes at most 256 of its own.
    alphabet_ : tuple of int or None
        For a discrete bottleneck, the integers of a code at each position: the number of levels of each, None without
        bounds.
    code_usage_ : float
        Share of these levels that occur in the codes of X; of integers without bounds, of those that are not constant.
    code_perplexity_ : float
        exp(H), where H is the mean entropy of these integers: so many levels, used equally often, would tell as much.
    code_model_ : object
        Probabilities of integer codes, such as `skae.coding.Factorized`, by which `skae.coding.compress` codes them.
    classes_ : ndarray of shape (n_classes,)
        The classes in y, sorted; only for an estimator that is conditional on classes.
    critic_curve_ : list of float
        With a critic the distance of decoded from held-out samples, as `skae.critics.Critic` defines it: before the
        second phase, then after each of its epochs. The decoder of the smallest is kept, be it the first.
        Training samples take the place of held-out ones where there are fewer than 10 of these.
    input_shape_ : tuple of int
        Shape of one row of X, as it came in.
    layout_ : SequenceLayout or ImageLayout
        How an image lies in a row of X, where the network takes images or ``input_shape`` says so; how a sequence
        does, where its channels come first. After training on crops the shapes are those of a crop.
    target_layout_ : ImageLayout
        The same of ``X_target``, where that has another shape than X.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names for all of them.
    n_iter_ : int
        Epochs run by the last `fit`, and the calls of `partial_fit` since.
    loss_curve_ : list of float
        The mean training loss of each of these epochs, penalties and noise included, in the data's own units.
    validation_loss_curve_ : list of float
        The validation loss: before the first epoch, then after each. Empty without validation.
    best_epoch_ : int
        The epoch whose weights were kept; 0 is the start, kept where no epoch was better by more than chance. Where a
        second training of few rows was better, this, `n_iter_` and both curves are of that.

    See Also
    --------
    AutoencoderTransformer : Where codes and reconstructions are wanted, rather than likelihoods.
    skae.metrics : How good generated rows are.
    sklearn.mixture.GaussianMixture : The plain density, for few features.

    Notes
    -----
    A linear skip that starts as probabilistic PCA is as good a start as small tables have, and for a dense network on
    MNIST too. Convolutions do better without, and with ``lr=4e-3``: ``docs/benchmarks.md`` has figures. For pixels of
    zeros and ones (``loss='bernoulli'``) the skip starts at random and helps.

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
            Samples of real numbers, of any range and dtype; at least 2. NaN with ``missing='mask'``, and after the end
            of sequences for a network that reads padding. A list, or a column of a DataFrame, may hold images (arrays,
            tensors or PIL images), or sequences (length, channels), which such a network takes in any lengths. Images
            are of one size, unless the network takes any (``module__dense=False``): these may also be a torch Dataset
            or another sequence that reads them, and one image is enough.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            With ``conditional`` the classes or the targets of the rows; ignored otherwise.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            What the reconstruction is compared with, such as clean rows for a noisy X; X when None. NaN, where X may
            hold it, is left out. Images may be translated: with ``module='conv'`` they may have other channels than
            those of X, or a whole multiple of their height and width.
        X_val : {array-like, sparse matrix} with rows of X's shape, default=None
            Validation samples, in place of a share of X. Where they do not fit into memory they are read in every
            epoch, unless there is a ``noise``.
        X_val_target : {array-like, sparse matrix} of the shape of ``X_val``, default=None
            The targets of ``X_val``; needed where ``X_target`` and ``X_val`` are given.
        y_val : array-like, default=None
            The classes or targets of ``X_val``; needed where ``conditional`` and ``X_val`` are given.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the samples in the loss, the means and scale, the start and the prior; none negative. Samples of
            weight 0 are ignored, and only the ratios of weights count. Under minibatches a weight of 2 is not
            the same as a row twice.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit; the message names them.
        FloatingPointError
            When a loss is not finite. After any error the estimator is as it was before.
        MemoryError
            For a layer that this machine cannot train.

        Warns
        -----
        ConvergenceWarning
            If no component is active: the posterior has collapsed onto N(0, I), and codes say nothing of the rows.
        UserWarning
            If y is ignored and has the shape of X, as a target would; and if one column of a table holds more than
            99.9 % of its variance, beside which the others are neglected: scale them first.
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
        """Train for one epoch on X, from where training stands.

        The first call sets the means, the scale, the start and the classes from its arguments: let X be a fair sample.
        Nothing is held out, no schedule is followed, nothing is printed, and the weights of the epoch are kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Rows; at least 2 in the first call.
        y : array-like, default=None
            As in `fit`.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            As in `fit`. In the loss only their ratios within one call count, since each call divides them by their
            mean: weights of 2 for all rows of a call are weights of 1. Give more rows or more calls to what is to count
            more. In the shares of classes, by which `sample` draws them, the weights of all calls add up.
        classes : array-like of shape (n_classes,), default=None
            All classes that any y will hold; those of the first y when None. For the first call.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For parameters or arrays that do not fit; the message names them.
        FloatingPointError
            When a loss is not finite. After any error the estimator is as it was before.
        MemoryError
            For a layer that this machine cannot train.

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
                "beta and importance_samples go to the default bottleneck: with a bottleneck of your own set them "
                f"there. Got bottleneck={self.bottleneck!r}, beta={self.beta}, "
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
        """Fit the prior to draws from the posteriors of the samples, and see whether these have collapsed."""
        module, runner = net.module_, BatchRunner(net.module_, net.device)
        described: dict[str, Any] = {}
        if module.is_variational:
            codes = runner.run(module.distribution, data.X).numpy()
            described["active_units_"] = _count_active(codes[:, 0], data.sample_weight)
            if described["active_units_"] == 0 and _has_several_features(data):  # one shares nothing with another
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
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.

        Returns
        -------
        mean : ndarray or Tensor of shape (n_samples, n_components), float32
            The means of the posteriors q(z|x), which `transform` returns.
        std : ndarray or Tensor of shape (n_samples, n_components), float32
            Their standard deviations.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
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
            Codes, as `transform` returns them; a DataFrame of them too. Where images may have any size also code maps
            (n_samples, n_components, h, w), or a list of maps (n_components, h, w). Of an ordered bottleneck the first
            components are enough: the first columns, or channels, for all positions of a spatial code.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the rows, for a conditional estimator.
        size : int, (height, width) or list of such, default=None
            Size of the images, or of each of a list, where these may have any; that of `fit` or, for maps of another
            size, as many pixels as the map stands for when None.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Decoded samples, in the units of the X that was fitted; float64 where that was float64 or integers that
            float32 does not hold, float32 elsewhere. Sequences have the length of `fit`.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
        """
        return self._decode_given(X, y, size)

    @available_if(has_integer_codes)
    @return_input_type
    def from_indices(self, indices: Any, y: Any = None, *, size: Any = None) -> Any:
        """Decode integer codes, for a discrete bottleneck.

        Parameters
        ----------
        indices : array-like of shape (n_samples, n_integers) or (n_samples, n_integers, h, w), or list of arrays
            Integers, as `indices` returns them.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the rows, for a conditional estimator.
        size : int, (height, width) or list of such, default=None
            Size of the images, or of each of a list, where these may have any; that of `fit` or, for maps of another
            size, as many pixels as the map stands for when None.

        Returns
        -------
        X_hat : ndarray or Tensor of shape (n_samples, n_features) or (n_samples, ...), or list of ndarray
            Decoded samples, as `inverse_transform` returns them.

        Raises
        ------
        ValueError, TypeError
            If the arguments do not fit.
        """
        check_is_fitted(self)
        return self._decode_given(codes_of_integers(self, indices), y, size)

    @return_input_type
    def reconstruct(self, X: Any, y: Any = None, *, keep_observed: bool = False) -> Any:
        """Encode and decode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator. Without them each row gets the class (or the
            one of 32 targets of the fit) under which it is most likely, at the cost of `score_samples`.
        keep_observed : bool, default=False
            Whether only the missing values are reconstructed, and the others kept as they are; for ``missing='mask'``.

        Returns
        -------
        X_hat : ndarray or Tensor of X's shape, or list of ndarray, float32; with ``keep_observed`` of X's dtype
            The decoded means of the posteriors. A list of images of any size gives a list.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
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
        r"""Compute a lower bound of the log-likelihood of every row, in nats.

        It is the evidence lower bound, :math:`E_{q(z|x)} \log p(x|z) - \mathrm{KL}(q(z|x) \| p(z))`, whatever ``beta``
        was in training: the divergence exactly, the mean over 32 codes. All rows share the same random numbers, so it
        is the same at every call. p(z) is N(0, I), not ``prior_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator, whose bound is that of log p(x|y). Without
            them it is that of log p(x), over all classes as often as they were in `fit`, or over 32 of its targets, and
            costs as many times more.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            The samples whose likelihood is computed, where codes come from others; X when None.
        n_importance_samples : int, default=None
            Codes for the tighter bound :math:`\log \tfrac1k \sum_{i \le k} p(x, z_i) / q(z_i|x)` (Burda et al., 2016)
            in place of the evidence lower bound. 500 and more come near the log-likelihood itself, at the cost of so
            many decodings.

        Returns
        -------
        scores : ndarray or Tensor of shape (n_samples,), float32
            The bound in nats, of the density of X in its own units (of the probability, for integers): the higher, the
            more likely. Only values that are known count, and a row without one has no score: NaN. With a loss that is
            no likelihood it is minus the loss and the divergence, in the loss's unit rather than nats; with a
            bottleneck without a distribution minus the loss, as in `AutoencoderTransformer`.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
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
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator; ignored by others.
        sample_weight : array-like of shape (n_samples,) or float, default=None
            Weights of the rows.
        X_target : {array-like, sparse matrix} of X's shape, default=None
            As in `score_samples`.
        n_importance_samples : int, default=None
            As in `score_samples`.

        Returns
        -------
        score : float
            The greater the better; rows without a known value are left out.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
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
            # They are weighed in the unit of the loss, which only for a likelihood is that of the scores.
            unit = self.module_.in_data_units(1.0, 0)
            bounds = self._bounds(X, target, conditions, n_importance_samples)
            return unit * torch.logsumexp(bounds / unit + torch.from_numpy(np.log(shares)).to(bounds), 1)
        c = self._context.of_samples(y, len(X)) if self._context else None
        return self._bound(X, target, c, n_importance_samples)

    def _bounds(self, X: Any, target: Any, conditions: np.ndarray, n_importance_samples: int | None) -> Tensor:
        """The bound of every row under every one of the conditions, (n_samples, n_conditions)."""
        everywhere = (np.broadcast_to(c, (len(X), len(c))) for c in conditions)
        return torch.stack([self._bound(X, target, c, n_importance_samples) for c in everywhere], 1)

    def _bound(self, X: Any, target: Any, c: np.ndarray | None, n_importance_samples: int | None) -> Tensor:
        module = self.module_
        if not module.is_variational:
            return -self._losses(module.reconstruction_loss, X, target, c)
        importance = n_importance_samples is not None
        noise: dict[int, Tensor] = {}  # by the width of the code, which depends on the size of images

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

        Tables and sequences are drawn with the noise that the likelihood p(x|z) has around its mean, so that features
        have the spread that they have in X. Images are the mean, which has no noise in its pixels.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), or one class or target, default=None
            Classes or targets of the rows, for a conditional estimator: one for all of them, or one for each, whose
            number ``n_samples`` then need not repeat. Without them they are drawn as they were in `fit`.
        noisy : {'auto', True, False}, default='auto'
            Whether samples are drawn from the likelihood p(x|z), noise included, or are its mean. True needs a loss
            that is a likelihood. 'auto' draws if the loss is one, unless X holds images: rows that the network takes
            for images, and rows of several axes that it does not take for sequences. Flat rows that only you know to
            be images are drawn with noise: pass False for them, or ``input_shape`` to the estimator. A decoder that was
            trained against a critic gives the mean, which was compared with rows.

            .. versionchanged:: 0.3
               The default was False.
        size : int or (height, width), default=None
            Size of the images, for a network that takes any (``module='conv', module__dense=False``); that of `fit`
            when None. After training on crops the vectors at the positions of a code are drawn independently, but for
            ``prior='autoregressive'``, which draws codes of any size after any training.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features) or (n_samples, ...)
            New samples, in the units of the X that was fitted; of the dtype that `inverse_transform` returns.

        Raises
        ------
        NotFittedError
            Before `fit`, and where ``prior`` was set after it.
        ValueError, TypeError
            If the arguments do not fit: ``y`` for an estimator that is not conditional, ``noisy=True`` for a loss that
            is no likelihood.
        """
        self._check_sampling(n_samples)
        noisy = self._is_noisy(noisy)
        size = self._sample_size(size)
        y = as_array(y)
        seeds = np.random.SeedSequence(draw_seed(random_state)).generate_state(4)
        if n_samples == 1 and self._context and y is not None and not self._context.is_single(y):
            n_samples = len(y) or 1  # none at all is refused below
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
        """Whether to draw from the likelihood, as ``noisy`` says."""
        check_choice("noisy", noisy, ("auto", True, False))
        loss = self.module_.loss
        if noisy == "auto":
            has_draws = isinstance(loss, Likelihood) and type(loss).sample is not Likelihood.sample
            has_noise = np.argmin(vars(self).get("critic_curve_", [0])) > 0  # as rows have, which the critic saw
            return has_draws and not has_noise and not self._has_images()
        if noisy and not isinstance(loss, Likelihood):
            raise ValueError(f"noisy=True needs a loss that is a likelihood, got {loss!r}.")
        return bool(noisy)

    def _has_images(self) -> bool:
        """Whether samples are images: the network takes them for such, or they have the axes of images."""
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
        """Generate samples like those of X: draw codes from the posterior q(z|x) of each, and decode them.

        With ``missing='mask'`` they are draws of what the missing values may have been.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples like those of `fit`, in a list too; a single image or sequence counts as one.
        y : array-like, default=None
            Classes or targets of the rows, for a conditional estimator; as in `reconstruct`.
        n_draws : int, default=1
            Number of draws for each sample.

            .. versionchanged:: 0.3
               It was ``n_samples``, which is accepted until 0.5.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same rows at every call.
        noisy : {'auto', True, False}, default='auto'
            Whether samples are drawn from the likelihood, noise included, or are its mean; as in `sample`.

            .. versionchanged:: 0.3
               The default was False.

        Returns
        -------
        X : ndarray or Tensor of shape (n_draws, n_samples, n_features) or (n_draws, n_samples, ...)
            Draws, of the dtype that `inverse_transform` returns, the first of every row before the second of any;
            sequences as long as those of X.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
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
        """Generate rows on the way from one row to another: codes between theirs, decoded.

        Each is the mean of p(x|z), without the noise of `sample`, so that they change evenly.

        Parameters
        ----------
        X_a, X_b : array-like of shape (n_rows, n_features) or (n_rows, ...)
            Where the ways begin and end.
        n_steps : int, default=10
            Rows on each way, the reconstructions of its ends among them; at least 2. Sequences are as long as those of
            `fit`, whatever the length of the ends.
        y : array-like, default=None
            Classes or targets of the ways, for a conditional estimator: one for all, or one for each.
        method : {'spherical', 'linear'}, default='spherical'
            'linear' goes straight, through codes nearer to 0 than either end, where in many dimensions hardly any row
            lies; 'spherical' turns the one code into the other about 0 (White, 2016) while its length changes evenly.

        Returns
        -------
        X : ndarray or Tensor of shape (n_rows, n_steps, n_features) or (n_rows, n_steps, ...)
            The ways, of the dtype that `inverse_transform` returns.

        Raises
        ------
        ValueError
            If the arguments do not fit, or X lies so far from what was fitted that the result is not finite.
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
    beta = getattr(module.bottleneck, "beta", None)  # of one of the user's own there may be none
    warn(
        "No component of the code is active: the posterior has collapsed onto N(0, I), and all codes are alike. "
        f"Try more epochs, a lower beta{'' if beta is None else f' (now {beta})'}, "
        "bottleneck=Gaussian(free_bits=0.1) or a longer warmup, a smaller network or a lower lr; if X has no "
        "structure, there is nothing to encode.",
        ConvergenceWarning,
    )


def _spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Turn ``a`` into ``b``, both (n, 1, k), at the shares ``t``, (steps, 1): direction and length at an even pace.

    Codes that lie on one line through 0 have no plane to turn in, and are joined straight.
    """
    length_a, length_b = (z.norm(dim=2, keepdim=True) for z in (a, b))
    angle = (a / length_a * (b / length_b)).sum(2, keepdim=True).clamp(-1, 1).acos()
    direction = (((1 - t) * angle).sin() * (a / length_a) + (t * angle).sin() * (b / length_b)) / angle.sin()
    turned = ((1 - t) * length_a + t * length_b) * direction
    return torch.where(angle.sin() > 1e-6, turned, a + t * (b - a))
