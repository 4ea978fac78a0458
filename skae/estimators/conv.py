"""The convolutional autoencoder of images."""

from __future__ import annotations

from typing import Any

from ._base import BaseAutoencoder


class ConvAutoencoder(BaseAutoencoder):
    """Convolutional autoencoder for images.

    It encodes images as ``n_components`` numbers, restores corrupted images if trained with ``noise`` or on pairs
    (``X_target``), and extracts features for a classifier. Images may have the shapes (n, height, width), (n, height,
    width, channels) and (n, channels, height, width), or be flattened to rows; they may be a list or a DataFrame column
    of arrays or PIL images, with uint8 or float values in any range. Reconstructions have the layout and the units of
    X, as float32, or float64 if X is float64 or has integers beyond the precision of float32; they are not clipped, so
    that values may lie slightly outside the range of X.

    The default network, `skae.nn.Conv`, is initialized to the PCA solution and trained from there; the weights with the
    lowest loss on held-out images are kept. It has a dense code and needs images of one size. With a spatial code,
    ``module__dense=False``, images may have any size, in `fit` and afterwards: pass a list, or a sequence that reads
    them one by one, such as a torch Dataset. The network is then trained on crops, results of a list are a list, and
    large images are processed in overlapping tiles, with the same result.

    Parameters
    ----------
    n_components : int or float, default=16
        Latent size; at least 1. It may exceed the number of pixels. With a spatial code (``module__dense=False``) it is
        the number of channels at each position. With an ordered bottleneck ('nested') and a dense code it may be a
        fraction of the variance in (0, 1), as in PCA: a larger code is fitted and truncated to the smallest number of
        components whose `explained_variance_ratio_` sum to that fraction, with a warning if none does.

    input_shape : tuple of int, default=None
        Shape of one image, if X holds flattened images: (height, width), (height, width, channels) or (channels,
        height, width). One side may be -1, as in `numpy.reshape`. Not needed for square gray images.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels of an image, as in scikit-image: 0 for (channels, height, width), -1 for (height, width,
        channels), None for (height, width). 'auto' selects the first or the last axis if exactly one of them has length
        1, 3 or 4, and raises an error otherwise.
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
    module : {'conv', 'mlp'}, class or nn.Module, default='conv'
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
    critic : {'patch', 'dense'}, class or object of `skae.critics`, default=None
        A network that the decoder is trained against in a second phase: 'patch' for images, 'dense' for tables.
        Reconstructions and samples become sharper, and their squared error larger. The codes and the prior do not
        change. Not available for `partial_fit`, missing values and sequences (``'gru'``, ``'tcn'``).
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
    critic_curve_ : list of float
        With a critic, the distance between decoded and held-out samples, as defined by `skae.critics.Critic`, before
        the second phase and after each of its epochs. The decoder with the smallest distance is kept, which may be the
        initial one. With fewer than 10 held-out samples, training samples are used instead.
    input_shape_ : tuple of int
        Shape of one sample of X.
    layout_ : ImageLayout
        Layout of an image in X, with attributes ``row_shape``, ``image_shape`` and ``channel_axis``. After training on
        crops, the shapes are those of a crop, and ``any_size`` is True.
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
    AutoencoderTransformer : Autoencoder for tables and sequences.
    Reconstructor : Transformer that returns reconstructions, for pipelines.

    Notes
    -----
    Training takes longer than that of a dense network, and reconstructions from a code of the same size are better:
    ``docs/benchmarks.md`` compares both at equal time. ``module__channels=(32, 64)`` is slower still, and better on
    large data. The default has two stages, which suits images of about 30 × 30: add a stage for each doubling, or use
    ``module__dense=False``, since the size of the dense layers grows with the area of the last stage.

    References
    ----------
    J. Masci, U. Meier, D. Cireşan and J. Schmidhuber, 2011. Stacked convolutional auto-encoders for hierarchical
    feature extraction. ICANN.

    L. N. Smith and N. Topin, 2019. Super-convergence: very fast training of neural networks using large learning
    rates. SPIE 11006.

    I. Loshchilov and F. Hutter, 2017. SGDR: stochastic gradient descent with warm restarts. ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ConvAutoencoder
    >>> images = load_digits().images  # (1797, 8, 8), from 0 to 16
    >>> ae = ConvAutoencoder(n_components=8, max_epochs=3, random_state=0).fit(images)
    >>> ae.transform(images).shape, ae.reconstruct(images).shape
    ((1797, 8), (1797, 8, 8))
    """

    def __init__(
        self,
        n_components=16,
        *,
        # model
        input_shape=None,
        channel_axis="auto",
        crop_size="auto",
        n_crops="auto",
        augmentation=None,
        module="conv",
        bottleneck=None,
        loss="squared_error",
        noise=None,
        missing="error",
        prior=None,
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

    def _reads_images(self, network: Any) -> bool:
        return True
