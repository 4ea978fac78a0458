"""The autoencoder as a transformer."""

from __future__ import annotations

from typing import Any

from ._base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    """Nonlinear dimensionality reduction with an autoencoder.

    It has the interface of `sklearn.decomposition.PCA`. An encoder maps a sample to a code of ``n_components`` numbers,
    and a decoder maps the code to a reconstruction; both are trained to minimize the reconstruction loss:

        x → noise → encoder → bottleneck → decoder → link → x̂,  minimizing  loss(x̂, x) + penalty.

    The default network is initialized to the PCA solution and trained from there; the weights with the lowest loss on
    held-out samples are kept. X may have any range and any real dtype: the network receives ``(X - mean) / scale``,
    with the mean of each feature, as in PCA, and one scale for all features, the standard deviation about these means.
    Columns in different units therefore need a `StandardScaler` first, as for PCA.

    With ``module='gru'`` or ``'tcn'`` X holds sequences: a list of arrays (length, channels) of different lengths, or
    one array (n, length, channels) or (n, length), with shorter sequences padded with NaN at the end. Codes do not
    depend on the padding, and `transform` accepts other lengths than `fit`.

    Parameters
    ----------
    n_components : int or float, default=16
        Latent size; at least 1. It may exceed the number of features. With an ordered bottleneck ('nested') it may be a
        fraction of the variance in (0, 1), as in PCA: a larger code is fitted and truncated to the smallest number of
        components whose `explained_variance_ratio_` sum to that fraction, with a warning if none does.

    channel_axis : {'auto', -1, 0}, default='auto'
        Axis of the channels: -1 for sequences (length, channels), the default, 0 for (channels, length). With
        ``module='conv'`` it is the axis of images, as in `ConvAutoencoder`, and 'auto' expects (channels, height,
        width).
    module : {'mlp', 'gru', 'tcn', 'conv'}, class or nn.Module, default='mlp'
        The network. A string is one of `skae.nn`. A class (or a callable) with ``encode`` and ``decode`` is called with
        whichever of ``input_shape``, ``n_components`` and ``n_outputs`` its signature names, and with ``module__*``. A
        module is copied at every fit. A network may also declare ``n_positions`` (spatial codes) and ``reads_padding``
        (sequences): see `skae.nn.Conv` and `skae.nn.GRU`.
    bottleneck : {'identity', 'sparse', 'k_sparse', 'nested', 'fsq', ...}, class or object of \
`skae.bottlenecks`, default=None
        Regularization or transformation of the code; 'identity' if None. For variational bottlenecks use
        `VAEGenerator`.
    loss : {'squared_error', 'absolute_error', 'huber', 'bernoulli', ...}, class or object of `skae.losses`, \
default='squared_error'
        Reconstruction loss. 'bernoulli' needs X in [0, 1], 'discretized_logistic' integers from 0 to 255, 'poisson' and
        'negative_binomial' counts; `~skae.losses.Mixed` combines a loss for each group of columns.
    noise : {'gaussian_noise', 'masking_noise', ...}, class or object of `skae.noise`, default=None
        Corruption applied to the inputs during training, for a denoising autoencoder. Validation samples are corrupted
        once, so that the validation loss measures denoising.
    missing : {'error', 'mask'}, default='error'
        How NaN in X is treated. 'error' raises an error. 'mask' treats NaN as missing values: they are replaced by the
        mean of their feature (in sequences, of their channel) at the input of the network, left out of the loss, and
        imputed by `reconstruct`. Combine it with a masking ``noise``, so that the network is trained to impute observed
        values. A feature without observed values in `fit` is set to 0, with a warning. NaN after the end of a sequence
        is always padding.
    prior : {'mixture', 'flow', 'auto', 'autoregressive', None} or density estimator, default=None
        Density of the codes, fitted after training; `sample` draws from it. 'mixture' is a Gaussian mixture whose
        number of components maximizes the likelihood of held-out codes; with more than 200,000 codes it is fitted to a
        subsample, which keeps rare samples of large weight. 'flow' is a normalizing flow
        (`skae.density.NormalizingFlow`). 'auto' selects one of these two by the held-out likelihood. 'autoregressive'
        is for the integer codes of a discrete bottleneck (`skae.coding.Autoregressive`), and also makes the output of
        `skae.coding.compress` smaller. A density estimator may be ``GaussianMixture(10)`` or ``KernelDensity()``.
        ``prior__*`` are its parameters.
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
        ``module__*``, ``bottleneck__*``, ``loss__*``, ``noise__*``, ``prior__*``, ``optimizer__*``, ``callbacks__*``,
        ``iterator_train__*`` (``shuffle``, ``drop_last``, ``batch_size``) and ``iterator_valid__*`` (``batch_size``):
        parameters of these parts, whether given as a string, a class or an object.

    Attributes
    ----------
    net_ : AutoencoderNet
        The trained `skorch.NeuralNet` with its history; its inputs are standardized samples.
    module_ : Autoencoder
        The trained torch module.
    n_components_ : int
        Width of the code, which is the number of columns returned by `transform`: ``n_components``, times the number of
        positions of a spatial code.
    prior_ : density estimator
        The fitted ``prior``, unless it is None; fitted with ``sample_weight`` if its `fit` accepts weights. After
        `partial_fit` it is fitted to the samples of the last call.
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
    input_shape_ : tuple of int
        Shape of one sample of X.
    layout_ : SequenceLayout or ImageLayout
        Layout of a sequence or an image in X, if set by ``channel_axis``, with attributes ``row_shape`` and
        ``channel_axis``.
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
    ConvAutoencoder : Convolutional autoencoder for images.
    Reconstructor : Transformer that returns reconstructions, for pipelines.
    sklearn.decomposition.PCA : The linear counterpart, to which the default network is initialized.

    Notes
    -----
    The initial PCA is computed from all samples, including those held out from training. Trained weights are kept only
    if they are significantly better on the held-out samples, by a paired t-test at 5 %, although PCA was fitted to
    these. With at most 1,000 samples, where this test has little power, an inconclusive result is followed by a second
    training run from the same initial weights with another validation split; both results are combined, and the better
    run is kept. ``callbacks`` are called in the first run only. As a result, the autoencoder is rarely worse than PCA
    on new samples: see ``docs/benchmarks.md``. With fewer than ten samples the validation split is too small for a
    test, and the default keeps PCA. With a masking ``noise`` the losses of the masked values are compared, without a
    preference for the initial weights.

    References
    ----------
    G. E. Hinton and R. R. Salakhutdinov, 2006. Reducing the dimensionality of data with neural networks. Science 313.

    L. N. Smith and N. Topin, 2019. Super-convergence: very fast training of neural networks using large learning
    rates. SPIE 11006.

    I. Loshchilov and F. Hutter, 2017. SGDR: stochastic gradient descent with warm restarts. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer
    >>> X = load_digits().data
    >>> ae = AutoencoderTransformer(n_components=8, max_epochs=20, random_state=0).fit(X[:1500])
    >>> ae.transform(X[1500:]).shape
    (297, 8)
    >>> pca = PCA(n_components=8).fit(X[:1500])
    >>> pca_error = ((pca.inverse_transform(pca.transform(X[1500:])) - X[1500:]) ** 2).mean()
    >>> bool(-ae.score(X[1500:]) < 0.7 * pca_error)
    True
    """

    def __init__(
        self,
        n_components=16,
        *,
        # model
        channel_axis="auto",
        module="mlp",
        bottleneck=None,
        loss="squared_error",
        noise=None,
        missing="error",
        prior=None,
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
        self.channel_axis = channel_axis
        self.module = module
        self.bottleneck = bottleneck
        self.loss = loss
        self.noise = noise
        self.missing = missing
        self.prior = prior
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
