"""Texture synthesis from one or several exemplars."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._data.images import is_auto
from .._patches.moments import mixed, moments, transported
from .._patches.quilting import Quilt, quilt
from .._utils.checks import check_choice, check_number
from .._utils.rng import draw_seed
from .._utils.threads import threads_given
from ..estimators._html import documented
from ..estimators._image_arguments import check_image_size
from ..estimators.conv import ConvAutoencoder
from ._codes import RIM, CodeMaps, Source, find_stride, fitted_on, lay
from ._images import as_dtype, read_images, value_range
from ._mixing import check_mask, check_weights, draw_labels, stretched

_LEAST_BLOCK, _USUAL_BLOCK = 8, (24, 96)  # pixels, for block_size="auto"
_MOST_CELLS = 2**18  # total cells of the code maps of exemplars and their shifts


@documented
class TextureSynthesizer(BaseEstimator):
    """Synthesize tileable textures of any size from one or several exemplars.

    An autoencoder with a spatial code is trained on crops of the exemplars. A sample is a quilt of blocks of their
    codes (Efros and Freeman, 2001): each block is selected to match its neighbors where they overlap, and cut along the
    path of minimum error. The quilt is decoded, which blends the cuts, and the detail lost by the autoencoder is added
    from the origin of each code.

    Samples consist of copied pieces of the exemplars: `skae.metrics.copied_share` and ``TextureDisplay(sources=True)``
    show to what extent. They are therefore sharp, but images that are not textures, such as faces, become collages.

    Parameters
    ----------
    estimator : estimator, default=None
        An autoencoder with a spatial code for images of any size, such as ``ConvAutoencoder(module__dense=False)``;
        `fit` trains a clone. A narrow code and a wide decoder blend borders best. The default is a `ConvAutoencoder`
        with 6 channels for each 4 × 4 pixels, trained on 4,096 crops of 64 × 64.
    block_size : int or 'auto', default='auto'
        Side of a block in pixels, rounded to whole cells of the code. It should exceed the largest element of the
        texture, such as a stone, and is the most important parameter. 'auto' is a quarter of the shortest side of the
        exemplars, limited to the range from 24 to 96.
    overlap : float, default=0.3
        Fraction of a block's side that overlaps its neighbors, in (0, 0.5].
    tolerance : float, default=0.05
        Blocks are drawn from those whose relative excess cost over the best one is at most this; at least 0. Larger
        values give more varied samples with worse seams.
    reuse : float, default=0.1
        Penalty on recently used blocks, in units of the variance of the codes; at least 0. Larger values give less
        repetition.
    n_repairs : int or 'auto', default='auto'
        Number of attempts to replace the block with the worst seams. 'auto' is the number of blocks.
    detail : bool, default=True
        Whether to add the detail of the exemplars lost by the autoencoder. Otherwise samples are as smooth as
        reconstructions.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels of an image, as in `ConvAutoencoder`.
    random_state : int, RandomState instance or None, default=None
        Seed of the training, for an ``estimator`` without one.

    Attributes
    ----------
    estimator_ : estimator
        The fitted autoencoder.
    exemplars_ : list of ndarray
        The exemplars passed to `fit`.
    block_size_ : int
        Side of a block, in pixels.
    stride_ : int
        Side of a cell of the code, in pixels.

    See Also
    --------
    StyleTransfer : Transfer the style of images to photographs.
    skae.plotting.TextureDisplay : Plot samples beside the exemplars.

    Notes
    -----
    Blocks may begin between the cells of a code, by encoding shifted exemplars. The penalty on reuse decays by 3 % with
    each block, and with the distance from the used block. A repair selects, among blocks that match on all sides, the
    one with the smallest errors along its cuts, if they are smaller than before.

    References
    ----------
    A. A. Efros and W. T. Freeman, 2001. Image quilting for texture synthesis and transfer. SIGGRAPH.

    Y. Li, C. Fang, J. Yang, Z. Wang, X. Lu and M.-H. Yang, 2017. Universal style transfer via feature transforms.
    NeurIPS. (The transport of statistics, for ``blend``.)

    Examples
    --------
    >>> import numpy as np
    >>> from skae import ConvAutoencoder
    >>> from skae.textures import TextureSynthesizer
    >>> rows, columns = np.indices((96, 96))
    >>> waves = (np.sin(rows / 3 + np.sin(columns / 9)) * 100 + 128).astype(np.uint8)
    >>> ae = ConvAutoencoder(4, module__dense=False, n_crops=32, max_epochs=1)
    >>> synthesizer = TextureSynthesizer(ae, random_state=0).fit(waves)
    >>> synthesizer.sample(2, random_state=0, size=(128, 160)).shape
    (2, 128, 160)
    """

    def __init__(
        self,
        estimator=None,
        *,
        block_size="auto",
        overlap=0.3,
        tolerance=0.05,
        reuse=0.1,
        n_repairs="auto",
        detail=True,
        channel_axis="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.block_size = block_size
        self.overlap = overlap
        self.tolerance = tolerance
        self.reuse = reuse
        self.n_repairs = n_repairs
        self.detail = detail
        self.channel_axis = channel_axis
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> TextureSynthesizer:
        """Train the autoencoder on exemplars.

        Parameters
        ----------
        X : array-like of shape (height, width), (height, width, channels) or (channels, height, width), or list of such
            One exemplar, or several with the same channels and dtype, as a list, a DataFrame column or an array (n,
            height, width, channels), or PIL images. Values may have any range, without NaN; each side must have at
            least two blocks.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted synthesizer.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an image is invalid; the message names it. After any error the synthesizer is unchanged.
        """
        self._check_params()
        images = read_images(X, "X", self.channel_axis)
        exemplars = [np.array(images.restore(images.read(i)), images.dtype) for i in range(len(images))]
        shortest = min(min(shape) for shape in images.shapes)
        block_size = self._block_size(shortest)
        for i, (height, width) in enumerate(images.shapes):
            if min(height, width) < 2 * block_size:
                raise ValueError(
                    f"X[{i}] is {height} × {width} pixels, but block_size={block_size} needs at least two blocks along "
                    f"each side, {2 * block_size} × {2 * block_size}: reduce block_size, or use a larger exemplar."
                )
        estimator = _default_estimator(shortest) if self.estimator is None else self.estimator
        stride = find_stride(estimator)
        if stride is not None:  # raise errors before the training
            _check_cells(images.shapes, block_size, stride)
        fitted = fitted_on(estimator, exemplars, images.layout.channel_axis, self.random_state)
        stride = fitted.module_.network.stride
        _check_cells(images.shapes, block_size, stride)
        found = {
            "estimator_": fitted,
            "exemplars_": exemplars,
            "stride_": stride,
            "block_size_": _n_cells(block_size, stride) * stride,
        }
        self.__dict__ = {name: value for name, value in vars(self).items() if name != "_sources"} | found
        return self

    def _check_params(self) -> None:
        if not is_auto(self.block_size):
            check_number("block_size", self.block_size, numbers.Integral, _LEAST_BLOCK)
        check_number("overlap", self.overlap, numbers.Real, 0, 0.5, "right")
        check_number("tolerance", self.tolerance, numbers.Real, 0)
        check_number("reuse", self.reuse, numbers.Real, 0)
        if not is_auto(self.n_repairs):
            check_number("n_repairs", self.n_repairs, numbers.Integral, 0)
        check_choice("detail", self.detail, (True, False))

    def _block_size(self, shortest: int) -> int:
        """Return the side of a block, in pixels, for exemplars with this shortest side."""
        if not is_auto(self.block_size):
            return int(self.block_size)
        low, high = _USUAL_BLOCK
        return max(_LEAST_BLOCK, min(high, max(low, shortest // 4), shortest // 3))

    @threads_given()
    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        size: Any = None,
        tile: bool = True,
        mask: Any = None,
        weights: Any = None,
        blend: float = 0.0,
        return_sources: bool = False,
    ) -> Any:
        """Synthesize textures.

        All parameters of blocks except ``block_size`` may be changed after `fit`.

        Parameters
        ----------
        n_samples : int, default=1
            Number of textures.
        random_state : int, RandomState instance or None, default=None
            Pass an int for bit-for-bit reproducible output across calls.
        size : int or (height, width), default=None
            Size in pixels. None is the size of ``mask``, or of the first exemplar, rounded down to a tileable size.
        tile : bool, default=True
            Whether textures tile seamlessly. ``size`` must then be a multiple of ``stride_``.
        mask : array-like of shape (height, width) or (n_exemplars, height, width), default=None
            Proportion of each exemplar at each position, in [0, 1], resized to ``size``; for two exemplars that of the
            second is enough. Proportions between 0 and 1 give patches about as wide as a block.
        weights : array-like of shape (n_exemplars,), default=None
            Proportion of the texture from each exemplar, non-negative, normalized to a sum of 1. With several exemplars
            and neither ``mask`` nor ``blend`` they are equal.
        blend : float, default=0.0
            Interpolate materials, in [0, 1]: the codes of the first exemplar are moved toward the mean and covariance
            of the others; at 0.5 they are half way. The detail of the first exemplar is added in proportion to 1 -
            ``blend``.
        return_sources : bool, default=False
            Whether to also return the origins of the cells.

        Returns
        -------
        X : ndarray of shape (n_samples, height, width) or with channels as in the exemplars
            Textures in the layout, dtype and range of the exemplars.
        sources : ndarray of int of shape (n_samples, 3, h, w)
            For each cell of ``stride_`` × ``stride_`` pixels the index of its exemplar, and the row and column of its
            first pixel there; only with ``return_sources``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            If an argument is invalid.
        """
        check_is_fitted(self)
        self._check_params()
        check_number("n_samples", n_samples, numbers.Integral, 1)
        check_choice("tile", tile, (True, False))
        check_number("blend", blend, numbers.Real, 0, 1)
        check_choice("return_sources", return_sources, (True, False))
        blend = float(blend)
        shares = self._shares(mask, weights, blend)
        size = self._sample_size(size, mask, tile=tile)
        found = []
        for seed in np.random.SeedSequence(draw_seed(random_state)).generate_state(n_samples):
            rng = np.random.default_rng(seed)
            laid = self._lay_out(size, shares, rng, tile=tile)
            found.append((self._painted(laid, blend, tile=tile)[:, : size[0], : size[1]], self._origins(laid)))
        layout, dtype = self.estimator_.layout_, self.exemplars_[0].dtype
        X = as_dtype(layout.restore(np.stack([image for image, _ in found])), dtype, *value_range(self.exemplars_))
        return (X, np.stack([origins for _, origins in found])) if return_sources else X

    def _shares(self, mask: Any, weights: Any, blend: float) -> np.ndarray:
        """Return the proportion of each exemplar, (n,) or, for a mask, (n, height, width)."""
        n = len(self.exemplars_)
        arguments = {"mask": mask is not None, "weights": weights is not None, "blend": blend > 0}
        given = [name for name, is_given in arguments.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"Only one of mask, weights and blend can be given, got {' and '.join(given)}.")
        if mask is not None:
            return check_mask(mask, n, "exemplars")
        if blend > 0:
            if n < 2:
                raise ValueError(f"blend={blend} needs at least two exemplars, got {n} in fit.")
            return np.eye(n)[0]
        return check_weights(weights, n, "exemplars")

    def _sample_size(self, size: Any, mask: Any, *, tile: bool) -> tuple[int, int]:
        """Return height and width of a sample, in pixels."""
        stride = self.stride_
        if size is not None:
            height, width = check_image_size(size)
            if tile and (height % stride or width % stride):
                nearest = " or ".join(
                    str(tuple(stride * max(1, rounded(side / stride)) for side in (height, width)))
                    for rounded in (math.floor, math.ceil)
                )
                raise ValueError(
                    f"size must be a multiple of {stride} pixels along each side to tile, got {(height, width)}: use "
                    f"{nearest}, or tile=False."
                )
            return height, width
        first = self.estimator_.layout_.arrange(self.exemplars_[0][None]).shape[2:]
        height, width = first if mask is None else np.shape(mask)[-2:]
        return (max(1, height // stride) * stride, max(1, width // stride) * stride) if tile else (height, width)

    def _lay_out(self, size: tuple[int, int], shares: np.ndarray, rng: np.random.Generator, *, tile: bool) -> Quilt:
        """Return a quilt of codes."""
        cells = tuple(math.ceil(side / self.stride_) for side in size)
        side = self.block_size_ // self.stride_
        everywhere = shares if shares.ndim == 3 else np.broadcast_to(shares[:, None, None], (len(shares), 1, 1))
        labels = draw_labels(stretched(everywhere, cells), side / 2, rng) if len(shares) > 1 else None
        n_repairs = self.n_repairs
        if is_auto(n_repairs):
            step = side * (1 - float(self.overlap))
            n_repairs = math.ceil(cells[0] / step) * math.ceil(cells[1] / step)
        return quilt(
            [source.codes for source in self._flat_sources()],
            cells,
            side,
            float(self.overlap),
            rng,
            tile=tile,
            tolerance=float(self.tolerance),
            reuse=float(self.reuse),
            n_repairs=n_repairs,
            owners=self._owners(),
            labels=labels,
        )

    def _painted(self, laid: Quilt, blend: float, *, tile: bool) -> np.ndarray:
        """Return the image (channels, height, width) of a quilt."""
        codes, detail = laid.values, float(self.detail)
        if blend:
            parts = [moments(source.codes) for sources in self._kept_sources()[1:] for source in sources]
            target = mixed(parts, [1 / len(parts)] * len(parts))
            codes = (1 - blend) * codes + blend * transported(codes, target)
            detail *= 1 - blend
        image = CodeMaps(self.estimator_).decode(codes, wrap=tile)
        if detail:
            residuals = [source.residual for source in self._flat_sources()]
            image = image + detail * lay(residuals, laid.origins, self.stride_)
        return image

    def _origins(self, laid: Quilt) -> np.ndarray:
        """Return the origins of the cells, as exemplar, row and column in pixels, (3, h, w)."""
        offsets = np.array([source.offset for source in self._flat_sources()]).T
        source = laid.origins[0]
        return np.stack([self._owners()[source], *(laid.origins[1:] * self.stride_ + offsets[:, source])])

    def _kept_sources(self) -> list[list[Source]]:
        """Return the cached code maps of each exemplar."""
        if "_sources" not in vars(self):
            maps, stride = CodeMaps(self.estimator_), self.stride_
            n_cells = sum(maps.layout.arrange(exemplar[None])[0, 0].size for exemplar in self.exemplars_) / stride**2
            steps = [step for step in (1, 2, 4) if step < stride and n_cells * (stride / step) ** 2 <= _MOST_CELLS]
            self._sources = [maps.sources(exemplar, min(steps, default=stride)) for exemplar in self.exemplars_]
        return self._sources

    def _owners(self) -> np.ndarray:
        """Return the exemplar of each of the flat sources."""
        return np.array([i for i, sources in enumerate(self._kept_sources()) for _ in sources])

    def _flat_sources(self) -> list[Source]:
        return [source for sources in self._kept_sources() for source in sources]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_sources"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.no_validation = True
        return tags


def _n_cells(block_size: int, stride: int) -> int:
    """Return the side of a block in cells."""
    return max(2, round(block_size / stride))


def _check_cells(shapes: Sequence[tuple[int, ...]], block_size: int, stride: int) -> None:
    """Check that a block fits into the code of each exemplar without its rim, at all shifts of less than a cell."""
    least = (_n_cells(block_size, stride) + 2 * RIM + 1) * stride - 1
    for i, (height, width) in enumerate(shapes):
        if min(height, width) < least:
            raise ValueError(
                f"X[{i}] is {height} × {width} pixels, but block_size={block_size} and a code with a stride of "
                f"{stride} need at least {least} × {least}: reduce block_size, use a larger exemplar, or give the "
                "estimator fewer stages (module__channels)."
            )


def _default_estimator(shortest: int) -> ConvAutoencoder:
    """Return the default estimator: the more accurate a code, the more visible are the borders of blocks."""
    return ConvAutoencoder(
        6,
        module__channels=(32, 64),
        module__n_residual_blocks=1,
        module__dense=False,
        batch_size=8,
        crop_size=min(64, shortest),
        n_crops=512,
        max_epochs=8,
        lr=3e-3,
        early_stopping=False,
    )
