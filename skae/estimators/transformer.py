"""The autoencoder as a transformer."""

from __future__ import annotations

from typing import Any

from ._base import BaseAutoencoder


class AutoencoderTransformer(BaseAutoencoder):
    """Non-linear dimensionality reduction with an autoencoder, used as `sklearn.decomposition.PCA` is.

    An encoder maps a sample to ``n_components`` numbers and a decoder maps these to a reconstruction; both are
    trained to minimize the loss between the two:

        x → noise → encoder → bottleneck → decoder → link → x̂,  minimizing  loss(x̂, x) + penalty.

    The default network starts as PCA and learns the remainder; it is validated on samples held out of
    training, and the best weights are kept. X may have any range and any real dtype: the network sees
    ``(X - mean) / scale``, with the mean of each feature, as in PCA, and one scale for all of them, the standard
    deviation about these means. So columns that differ in unit need a `StandardScaler` before, as they do for PCA.

    With ``module='gru'`` or ``'tcn'`` X holds sequences: a list of arrays (length, channels) of any lengths, or one
    array (n, length, channels) or (n, length), the shorter ones padded with NaN at the end. Codes do not depend on the
    padding, and `transform` takes other lengths than `fit` saw.

    Parameters
    ----------
    n_components : int or float, default=16
        Latent size; at least 1. It may exceed the number of features. With an ordered bottleneck ('nested') also a
        share of the variance in (0, 1), as in PCA: a larger number is fitted, and the smallest one kept whose
        `explained_variance_ratio_` add up to it, with a warning where none does.

    channel_axis : {'auto', -1, 0}, default='auto'
        Which axis of a sequence holds its channels: -1 for (length, channels), which 'auto' expects, 0 for (channels,
        length). With ``module='conv'`` that of images, as in `ConvAutoencoder`; 'auto' expects (channels, height,
        width).
    module : {'mlp', 'gru', 'tcn', 'conv'}, class or nn.Module, default='mlp'
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
        ``module__*``, ``bottleneck__*``, ``loss__*``, ``noise__*``, ``prior__*``, ``optimizer__*``, ``callbacks__*``,
        ``iterator_train__*`` (``shuffle``, ``drop_last``, ``batch_size``) and ``iterator_valid__*`` (``batch_size``):
        parameters of what those slots hold, by a string, a class or an object.

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
    input_shape_ : tuple of int
        Shape of one row.
    layout_ : SequenceLayout or ImageLayout
        How a sequence or an image lies in a row of X, where ``channel_axis`` says so: its ``row_shape``, its
        ``channel_axis``.
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
    ConvAutoencoder : The same for images.
    Reconstructor : Makes a step of a pipeline of what an autoencoder restores.
    sklearn.decomposition.PCA : The linear answer, and the start of this one.

    Notes
    -----
    PCA, the start, is computed from all rows, those held out among them, while training does not see these. Trained
    weights are kept only if they do better on rows that PCA knows and they do not, by a paired t-test at 5 %. On at
    most 1,000 rows, where that is weak evidence, a second training from the same start, with other rows held out,
    decides with the first where that leaves doubt, and the better one is kept; ``callbacks`` watch the first alone. The
    result is therefore rarely worse than PCA on new rows: ``docs/benchmarks.md`` has the figures. A single row held out
    proves nothing, so on fewer than ten rows the default stays PCA. With a masking ``noise`` the values that it hides
    are compared, and the start has no such privilege.

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
