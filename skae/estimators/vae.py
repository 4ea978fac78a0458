"""The variational autoencoder."""

from __future__ import annotations

import numbers
from typing import Any

from .._utils.checks import check_choice, check_number
from ..bottlenecks import Gaussian
from ..nn import Conv
from ._density import Density
from ._layout import Layout
from ._parts import ModelSpec, declares, find_network, unwrapped
from ._sampling import Sampling


class VAEGenerator(Layout, Density, Sampling):
    r"""Variational autoencoder: generates rows like those of X, and tells how likely a row is.

    A code z of ``n_components`` numbers is distributed as N(0, I), and a decoder makes of it the distribution p(x|z) of
    a row. An encoder gives for each row the distribution q(z|x) of the codes that it may have come from. Both are
    trained to raise the evidence lower bound of the row's log-likelihood, in nats (Kingma and Welling, 2014):

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x|z) - \beta \, \mathrm{KL}\left(q(z|x) \,\|\, N(0, I)\right),
              \qquad \beta = 1.

    With the default ``loss='gaussian'`` the width of p(x|z) follows from the data, so no weight between the two terms
    is left to guess. The default network starts as probabilistic PCA, and is judged by rows held out of training.

    **Where samples come from.** By default codes come from ``prior_``, a Gaussian mixture fitted to the codes of the
    rows after training, not from N(0, I) (``prior=None``): the codes of all rows together do not fill N(0, I), and
    where none of them lie the decoder has learned nothing. ``docs/benchmarks.md`` has what that is worth on images.
    Samples of tables and sequences are drawn from p(x|z), those of images are its mean: see ``noisy`` of `sample`.

    Parameters
    ----------
    n_components : int, default=16
        Latent size; at least 1. Components that the data do not need go unused, at no cost but time.

    beta : float, default=1.0
        Weight of the divergence; at least 0. Above 1 codes are simpler and reconstructions coarser (Higgins et al.,
        2017). It goes to the default bottleneck; another one has parameters of its own.
    importance_samples : int, default=1
        Codes drawn for each row while training; more than one train the bound of importance-weighted autoencoders
        (Burda et al., 2016), at so many times the decoder's cost. It goes to the default bottleneck.
    conditional : {False, True, 'classes', 'targets'}, default=False
        Whether the decoder is told y, so that rows are generated for a given y. True takes y of integers, strings or
        bools, and of floats that are all whole numbers, for classes, and other numbers for real targets; 'classes' and
        'targets' say which.
    input_shape : tuple of int, default=None
        Shape of one image, where X has flat rows: (height, width), (height, width, channels) or (channels, height,
        width). One side may be -1, as in `numpy.reshape`. A square grey image needs none.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Which axis of an image holds its channels, as in scikit-image: 0 for (channels, height, width), -1 for
        (height, width, channels), None for (height, width). 'auto' takes the first or the last if just one of them
        has 1, 3 or 4 entries, and asks otherwise. Of sequences (``module='gru'`` or
        ``'tcn'``) 0 stands for (channels, length), and -1 or 'auto' for (length, channels).
    module : {'mlp', 'conv', 'gru', 'tcn'}, class or nn.Module, default='mlp'
        The network. A string is one of `skae.nn`; 'conv' takes images in any layout, as `ConvAutoencoder` does, and so
        does every class with an attribute ``reads_images = True``. It goes without its linear skip unless
        ``module__linear_skip=True`` asks for it: the bound is higher (see Notes). A class (or a callable) with
        ``encode`` and ``decode`` is called with whichever of ``input_shape``, ``n_components`` and ``n_outputs`` its
        signature names, and with ``module__*``: `encode` must give ``n_outputs`` numbers, twice the latent size, and
        `decode` take ``n_components``, which counts what it is told of y too. A module is copied at every fit.
    bottleneck : {'gaussian', 'total_correlation', 'mmd', 'squared_norm', ...}, class or object, default=None
        What happens to the code, one of `skae.bottlenecks`; ``Gaussian(beta, importance_samples=...)`` when None.
        `~skae.bottlenecks.MMD` makes a Wasserstein autoencoder, `~skae.bottlenecks.TotalCorrelation` a β-TCVAE,
        `~skae.bottlenecks.SquaredNorm` the regularised autoencoder of Ghosh et al. (2020).
    loss : {'gaussian', 'laplace', 'bernoulli', 'discretized_logistic', ...}, class or object, default='gaussian'
        Minus the log-likelihood of a row, one of `skae.losses`. 'bernoulli' needs X in [0, 1],
        'discretized_logistic' integers from 0 to 255.
    noise : {'gaussian_noise', 'masking_noise', ...}, class or object, default=None
        What damages the rows while training, one of `skae.noise`, for a denoising autoencoder. The rows held out
        are damaged too, once, so that training is judged at mending them.
    missing : {'error', 'mask'}, default='error'
        What NaN in X means. 'error' refuses it; 'mask' takes it for a value that is not known: it enters the network as
        the mean of its feature (in sequences, of its channel), is left out of the loss, and `reconstruct` fills it in.
        Train with a masking ``noise`` too: the network learns from filling in known values. A feature without a known
        value in `fit` becomes 0, and a warning names it. After the end of a sequence NaN is padding in any case.
    prior : {'mixture', None} or density estimator, default='mixture'
        What `sample` draws codes from. 'mixture' is a Gaussian mixture with full covariances, fitted after training to
        codes drawn from q(z|x), its size chosen by the likelihood of rows held out from it; None is N(0, I); a density
        estimator such as ``GaussianMixture(10)`` or ``KernelDensity()`` is fitted to the same codes. For classes one is
        fitted for each; for real targets a mixture is fitted to codes and targets together.
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
        Whether training is judged by rows that it does not see, the best weights being kept. 'auto' judges X of
        fewer than 10 rows by all of them, where PCA is not to be beaten. False trains for ``max_epochs`` and keeps the
        last weights.
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
        Whether `fit` goes on from the weights and the optimiser's state of the last one, keeping its conditioning.
    checkpoint : str or os.PathLike, default=None
        A file that `fit` writes after every epoch and deletes when it is done. After a kill the same `fit` goes on from
        it, to the same result, on the CPU to the bit. One file serves one `fit` at a time.

    device : str or torch.device, default='auto'
        Where to train and to predict; 'auto' is CUDA where there is one, else the CPU.
    precision : {'float32', 'bf16'}, default='float32'
        What the network computes in while it is trained. With 'bf16' matrix products and convolutions are those of
        ``torch.autocast``; weights, codes, losses and sums stay float32, and so does all that is done with the trained
        network, the judging of held-out rows included. It pays on GPUs, and on processors with instructions for it.
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
        Width of the code, the number of columns that `transform` returns.
    prior_ : density estimator, or list of them
        The fitted ``prior``; for classes one for each of ``classes_``. After `partial_fit` that of the latest rows.
    active_units_ : int
        Components whose mean varies by more than 0.01 over the rows trained on (Burda et al., 2016); others are idle.
    classes_ : ndarray of shape (n_classes,)
        The classes in y, sorted; only if they are what the decoder is told.
    input_shape_ : tuple of int
        Shape of one row of X, as it came in.
    layout_ : SequenceLayout or ImageLayout
        How an image lies in a row of X, where the network takes images or ``input_shape`` says so; how a sequence
        does, where its channels come first.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string names for all of them.
    n_iter_ : int
        Epochs run by the last `fit`, and the calls of `partial_fit` since.
    loss_curve_ : list of float
        The mean training loss of each of these epochs, penalties and noise included, in the data's own units.
    validation_loss_curve_ : list of float
        The loss of the rows that training was judged by: before the first epoch, then after each. Empty
        without such rows.
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
        module="mlp",
        bottleneck=None,
        loss="gaussian",
        noise=None,
        missing="error",
        prior="mixture",
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
        self.precision = precision
        self.compile = compile
        self.random_state = random_state
        self.verbose = verbose
        self._extra = params

    def _check_params(self) -> ModelSpec:
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
        return super()._check_params()

    def _default_bottleneck(self) -> Gaussian:
        return Gaussian(self.beta, importance_samples=self.importance_samples)

    def _network_params(self) -> dict[str, Any]:
        given, (cls, own) = super()._network_params(), unwrapped(find_network(self.module))
        is_conv = isinstance(cls, type) and issubclass(cls, Conv)
        return {"linear_skip": False} | given if is_conv and "linear_skip" not in own else given

    def _takes_images(self) -> bool:
        return self._is_told_a_layout() or declares(find_network(self.module), "reads_images")
