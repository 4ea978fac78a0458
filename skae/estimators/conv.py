"""The convolutional autoencoder of images."""

from __future__ import annotations

from typing import Any

from ._base import BaseAutoencoder


class ConvAutoencoder(BaseAutoencoder):
    """Convolutional autoencoder for images, used as any transformer is.

    It compresses images to ``n_components`` numbers, restores corrupted ones when it is trained with ``noise`` or on
    pairs (``X_target``), and gives features to a classifier. Images come as people hold them: (n, height, width),
    (n, height, width, channels), (n, channels, height, width), or flat rows, as a 2-D pipeline hands them on; as a list
    or a column of arrays or PIL images; uint8 or floats in any range. What comes
    back has the layout and the units that came in, as float32, or as float64 where X was that or holds integers that
    float32 does not; it is not clipped, so that values may lie somewhat outside the range of X.

    The default network, `skae.nn.Conv`, starts as PCA and learns the remainder; it is validated on images held out of
    training, and the best weights are kept. It has a dense code, and all images are of one size. With a spatial code,
    ``module__dense=False``, images may be of any size, in `fit` and afterwards: a list, or what reads them one by one,
    such as a torch Dataset. Training is then on crops, a list gives a list, and large images are cut into tiles that
    overlap, with the same result.

    Parameters
    ----------
    n_components : int or float, default=16
        Latent size; at least 1. It may exceed the number of pixels. With a spatial code (``module__dense=False``)
        the number of channels of the code at every position. With an ordered bottleneck ('nested') and a dense code
        also a share of the variance in (0, 1), as in PCA: a larger number is fitted, and the smallest one kept whose
        `explained_variance_ratio_` add up to it, with a warning where none does.

    input_shape : tuple of int, default=None
        Shape of one image, where X has flat rows: (height, width), (height, width, channels) or (channels, height,
        width). One side may be -1, as in `numpy.reshape`. A square gray image needs none.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Which axis of an image holds its channels, as in scikit-image: 0 for (channels, height, width), -1 for
        (height, width, channels), None for (height, width). 'auto' takes the first or the last if just one of them
        has 1, 3 or 4 entries, and asks otherwise.
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
    module : {'conv', 'mlp'}, class or nn.Module, default='conv'
        The network. A string is one of `skae.nn`. A class (or a callable) with ``encode`` and ``decode`` is called
        with whichever of ``input_shape``, ``n_components`` and ``n_outputs`` its signature names, and with
        ``module__*``. A module is copied at every fit. `skae.nn.Conv` and `skae.nn.GRU` show what else a network may
        say of itself: ``n_positions`` of a spatial code, ``reads_padding`` of sequences.
    bottleneck : {'identity', 'sparse', 'k_sparse', 'nested', 'fsq', ...}, class or object of \
`skae.bottlenecks`, default=None
        Regularization or transformation of the code; 'identity' when None. `VAEGenerator` is the estimator for
        variational ones.
    loss : {'squared_error', 'absolute_error', 'huber', 'bernoulli', ...}, class or object of `skae.losses`, \
default='squared_error'
        What a reconstruction costs. 'bernoulli' needs X in [0, 1], 'discretized_logistic' integers from 0 to
        255, 'poisson' and 'negative_binomial' counts; `~skae.losses.Mixed` has a loss for each group of columns.
    noise : {'gaussian_noise', 'masking_noise', ...}, class or object of `skae.noise`, default=None
        Corruption applied to the inputs while training, for a denoising autoencoder. Validation samples are corrupted
        once, so that the validation loss is that of denoising.
    missing : {'error', 'mask'}, default='error'
        What NaN in X means. 'error' refuses it; 'mask' takes it for a value that is not known: it enters the network as
        the mean of its feature (in sequences, of its channel), is left out of the loss, and `reconstruct` fills it in.
        Train with a masking ``noise`` too: the network learns from filling in known values. A feature without a known
        value in `fit` becomes 0, and a warning names it. After the end of a sequence NaN is padding in any case.
    prior : {'mixture', 'flow', 'auto', 'autoregressive', None} or density estimator, default=None
        Fitted to the codes after training, such as ``GaussianMixture(10)`` or ``KernelDensity()``; `sample` draws from
        it. 'mixture' is a Gaussian mixture whose size is chosen by the likelihood of rows held out from it; of more
        than 200,000 codes it is fitted to a sample, in which rare rows of large weight are kept. 'flow' is a
        normalizing flow (`skae.density.NormalizingFlow`), 'auto' the one of these two that such rows are likelier by.
        'autoregressive' is for the integer codes of a discrete bottleneck: `skae.coding.Autoregressive`, which also
        makes the bytes of `skae.coding.compress` fewer. ``prior__*`` are its parameters.
    critic : {'patch', 'dense'}, class or object of `skae.critics`, default=None
        A network that the decoder is trained against in a second phase: 'patch' for images, 'dense' for rows.
        Reconstructions and samples become sharper, at a larger squared error. Codes and prior stay those of the model
        without it. Not for `partial_fit`, with missing values, or for networks of sequences (``'gru'``, ``'tcn'``).
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
        Width of the code, the number of columns that `transform` returns: ``n_components``, times the positions of a
        spatial code.
    prior_ : density estimator
        The fitted ``prior``, if there is one, with ``sample_weight`` where its own `fit` takes it. After `partial_fit`
        it is that of the latest rows.
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
    critic_curve_ : list of float
        With a critic the distance of decoded from held-out samples, as `skae.critics.Critic` defines it: before the
        second phase, then after each of its epochs. The decoder of the smallest is kept, be it the first.
        Training samples take the place of held-out ones where there are fewer than 10 of these.
    input_shape_ : tuple of int
        Shape of one row of X, as it came in.
    layout_ : ImageLayout
        How an image lies in a row of X: its ``row_shape``, its ``image_shape``, its ``channel_axis``.
        After training on crops the shapes are those of a crop, and ``any_size`` is True.
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
    AutoencoderTransformer : The same for tables and sequences.
    Reconstructor : Makes a step of a pipeline of what an autoencoder restores.

    Notes
    -----
    Training is longer than that of a dense network, and the code of the same size keeps more: ``docs/benchmarks.md``
    has both at equal time. ``module__channels=(32, 64)`` is slower still, and better on large data. The default has two
    stages, which suits images of about 30 × 30: take one more for each doubling, or ``module__dense=False``, since the
    dense layers behind the last stage grow with its area.

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
