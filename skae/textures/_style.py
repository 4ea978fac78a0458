"""Style transfer."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._data.image_list import ImageList
from .._patches.guided import guided_quilt
from .._patches.moments import mixed, moments, transported
from .._patches.search import Collage, smooth_window
from .._patches.shares import assign
from .._utils.checks import check_choice, check_number
from .._utils.rng import check_seed, draw_seed
from .._utils.threads import threads_given
from ..estimators._html import documented
from ..estimators.conv import ConvAutoencoder
from ._codes import CodeMaps, find_stride, fitted_on
from ._images import as_dtype, check_alike, read_contents, read_images, value_range
from ._mixing import check_mask, check_weights, stretched
from ._style_codes import Match, StyleCodes, resampled

_METHODS = ("swap", "quilting", "statistics")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def default_estimator(shortest: int = 64) -> ConvAutoencoder:
    """Return the default estimator, for images whose shortest side has ``shortest`` pixels.

    Since results are composed of patches of known codes, the code may be wide, and training is short.
    """
    return ConvAutoencoder(
        32,
        module__channels=(32, 64),
        module__dense=False,
        batch_size=8,
        crop_size=min(64, shortest),
        n_crops=1000,
        max_epochs=4,
        lr=3e-3,
        early_stopping=False,
    )


@documented
class StyleTransfer(TransformerMixin, BaseEstimator):
    """Transfer the style of pictures to photographs, with the codes of an autoencoder.

    An autoencoder with a spatial code is fitted to the styles, without a pretrained network. `transform` encodes an
    image, transforms its codes to the mean and covariance of the style by whitening and coloring, and then

    - ``method='swap'`` replaces every patch of codes by the nearest one of the style. Neighboring patches come from
      neighboring positions of the style if the cost is small, so that strokes remain intact;
    - ``method='quilting'`` composes larger blocks of the style that resemble the codes and match where they overlap,
      with minimum-error cuts: strokes are crisp, and small objects are lost;
    - ``method='statistics'`` only matches mean and covariance, which changes colors rather than strokes.

    A fitted estimator transforms images of any size. All parameters except ``estimator``, ``channel_axis`` and
    ``random_state`` are used in `transform`, and may be changed without fitting again.

    Parameters
    ----------
    estimator : autoencoder, default=None
        An autoencoder with a spatial code for images of any size, such as ``ConvAutoencoder(32, module__dense=False)``,
        which is cloned and fitted. The default has 32 channels for each 4 × 4 pixels, and is trained on 500 batches of
        crops.
    method : {'swap', 'quilting', 'statistics'}, default='swap'
        Method of the transfer; see above. 'swap' preserves faces and contours, 'quilting' reproduces brush strokes
        best.
    alpha : float, default=1.0
        Strength of the style, in [0, 1]: the codes ``alpha * styled + (1 - alpha) * content`` are decoded. 0 returns
        the image unchanged.
    weights : sequence of float, default=None
        Non-negative weights of the styles, normalized by their sum: the fraction of the area of each style, which is
        applied where it matches best in comparison with the others. With 'statistics' the styled codes are averaged
        with these weights. None for equal weights.
    patch_size : int, default=3
        Side of the patches of 'swap', in cells of the code, which are 4 pixels by default; odd.
    block_size : int, default=16
        Side of the blocks of 'quilting', in pixels; at least two cells.
    guidance : float, default=6.0
        Weight of the similarity to the image relative to the match of neighboring blocks, in 'quilting'; above 0.
    keep_colors : bool, default=False
        Whether to keep the colors of the image, and change only its luminance (Gatys et al., 2017). Ignored unless
        images have 3 or 4 channels.
    detail : bool, default=True
        Whether to compose the pixels of the style that belong to the codes, blended where they overlap, which keeps the
        detail lost by the decoder. False decodes the codes. 'statistics' always decodes.
    style_scale : float, default=1.0
        Factor by which styles are resampled first, in (0, 16]: larger factors give larger strokes.
    channel_axis : {'auto', 0, -1, None}, default='auto'
        Axis of the channels of an image; see `ConvAutoencoder`.
    random_state : int, RandomState instance or None, default=None
        Seed of the training, and of the choice among blocks that match equally well. Pass an int for bit-for-bit
        reproducible results. Global random states are neither read nor changed.

    Attributes
    ----------
    estimator_ : autoencoder
        The fitted estimator.
    styles_ : list of ndarray
        The styles passed to `fit`.
    stride_ : int
        Side of a cell of the code, in pixels.

    See Also
    --------
    TextureSynthesizer : Synthesis of textures of any size from exemplars.
    ConvAutoencoder : The autoencoder of the codes.

    Notes
    -----
    A style consists of repeated strokes, contours or grain; the objects in the picture are not transferred. With few
    styles and diverse photographs, pass some of the photographs as ``contents`` to `fit`. An alpha channel is styled
    like the others, except with ``keep_colors``, which leaves it unchanged.

    References
    ----------
    Y. Li, C. Fang, J. Yang, Z. Wang, X. Lu and M.-H. Yang, 2017. Universal style transfer via feature transforms.
    NeurIPS.

    T. Q. Chen and M. Schmidt, 2016. Fast patch-based style transfer of arbitrary style. arXiv:1612.04337.

    A. A. Efros and W. T. Freeman, 2001. Image quilting for texture synthesis and transfer. SIGGRAPH.

    L. A. Gatys, A. S. Ecker, M. Bethge, A. Hertzmann and E. Shechtman, 2017. Controlling perceptual factors in neural
    style transfer. CVPR.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_sample_images
    >>> from skae import ConvAutoencoder
    >>> from skae.textures import StyleTransfer
    >>> china, flower = (image[::4, ::4] for image in load_sample_images().images)
    >>> y, x = np.mgrid[:96, :96]
    >>> waves = np.uint8(127 + 120 * np.sin(y / 3 + 2 * np.sin(x / 9)))
    >>> waves = np.dstack([waves, waves // 2, 255 - waves])
    >>> ae = ConvAutoencoder(12, module__dense=False, batch_size=8, crop_size=32, n_crops=64, max_epochs=1)
    >>> style = StyleTransfer(ae, random_state=0).fit(waves)
    >>> style.transform([china, flower])[0].shape  # a list for a list
    (107, 160, 3)
    >>> china.shape
    (107, 160, 3)
    >>> half = style.set_params(alpha=0.5, keep_colors=True).transform([china])  # no fit is needed
    """

    def __init__(
        self,
        estimator=None,
        *,
        method="swap",
        alpha=1.0,
        weights=None,
        patch_size=3,
        block_size=16,
        guidance=6.0,
        keep_colors=False,
        detail=True,
        style_scale=1.0,
        channel_axis="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.alpha = alpha
        self.weights = weights
        self.patch_size = patch_size
        self.block_size = block_size
        self.guidance = guidance
        self.keep_colors = keep_colors
        self.detail = detail
        self.style_scale = style_scale
        self.channel_axis = channel_axis
        self.random_state = random_state

    def fit(self, styles: Any, y: Any = None, *, contents: Any = None) -> StyleTransfer:
        """Fit the autoencoder to styles.

        Parameters
        ----------
        styles : array, PIL image or list of these
            One picture, (height, width) or with channels, a list of pictures of different sizes, or an array (n, ...).
        y : None
            Ignored.
        contents : array, PIL image or list of these, default=None
            Additional training images of the autoencoder, such as some of the images to transform.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an image is invalid; the message names it. After any error the estimator is unchanged.
        """
        self._check_params()
        check_seed(self.random_state)
        images = read_images(styles, "styles", self.channel_axis)
        pictures = [np.array(images.restore(images.read(i)), images.dtype) for i in range(len(images))]
        check_weights(self.weights, len(pictures), "styles")
        learned, shapes = list(pictures), list(images.shapes)
        if contents is not None:
            more = read_images(contents, "contents", images.layout.channel_axis)
            check_alike(more, "contents", images, "styles")
            learned += [more.restore(more.read(i)) for i in range(len(more))]
            shapes += more.shapes
        estimator = default_estimator(min(map(min, shapes))) if self.estimator is None else self.estimator
        seed = draw_seed(self.random_state)
        stride = find_stride(estimator)
        if stride is not None:  # raise errors before the training
            self._check_sizes(pictures, stride, images.layout)
        fitted = fitted_on(estimator, learned, images.layout.channel_axis, seed)
        stride = fitted.module_.network.stride
        self._check_sizes(pictures, stride, images.layout)
        found = {"estimator_": fitted, "styles_": pictures, "stride_": stride, "_seed": seed}
        self.__dict__ = {name: value for name, value in vars(self).items() if name != "_kept"} | found
        return self

    @threads_given()
    def transform(self, X: Any, *, mask: Any = None) -> Any:
        """Transfer the styles to images.

        Parameters
        ----------
        X : array (n, ...), PIL image or list of these
            Images of any size, with the channels and the dtype of the styles; a single image is n = 1.
        mask : array-like of shape (height, width) or (n_styles, height, width), default=None
            Proportion of each style at each position, in [0, 1], resized to the image; for two styles that of the
            second is enough. It replaces ``weights``.

        Returns
        -------
        images : ndarray (n, ...) or list of ndarray
            Images in the sizes, layout and dtype of X, within the range of the image and the styles; a list for a list.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError, TypeError
            If a parameter, an image or the mask is invalid; the message names it.
        """
        check_is_fitted(self)
        self._check_params()
        maps = CodeMaps(self.estimator_)
        self._check_sizes(self.styles_, self.stride_, maps.layout)
        images, is_list = read_contents(X, maps.layout)
        wanted = self._shares(mask)
        self._check_contents(images)
        pictures = []
        for i, shape in enumerate(images.shapes):
            content = images.read(i)
            cells = [math.ceil(side / self.stride_) for side in shape]
            low, high = value_range([content, *self.styles_])
            styled = self._styled(maps, content.astype(np.float32), stretched(wanted, cells))
            pictures.append(images.restore(as_dtype(styled, content.dtype, low, high)))
        return pictures if is_list else np.stack(pictures)

    def _styled(self, maps: CodeMaps, content: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Return an image (channels, height, width) in the styles, with their proportions (n, h, w) at each cell."""
        if self.alpha == 0:
            return content
        codes = maps.encode(maps.layout.restore(content[None])[0])
        present = [i for i in range(len(shares)) if shares[i].any()]
        shares = shares[present]
        styles = [self._style(maps, i) for i in present]
        make = self._mean_codes if self.method == "statistics" else self._collage
        styled_codes, styled, got = make(codes, styles, shares)
        size = content.shape[1:]

        def cropped(image: np.ndarray) -> np.ndarray:
            return image[:, : size[0], : size[1]]

        decoded = None if styled is not None and self.alpha == 1 else cropped(maps.decode(styled_codes))
        picture = decoded if styled is None else cropped(styled)
        assert picture is not None
        if self.method != "quilting":  # quilting uses pixels of the style without averaging
            picture = transported(picture, mixed([style.colors for style in styles], got))
        if self.keep_colors:
            picture = _with_luminance_of(picture, content)
        if self.alpha == 1:
            return picture
        alpha = np.float32(self.alpha)
        between = cropped(maps.decode(alpha * styled_codes + (1 - alpha) * codes))
        # The detail lost by the decoder and the colors are added in the same proportions.
        lost = alpha * (picture - decoded) + (1 - alpha) * (content - cropped(maps.decode(codes)))
        return between + lost

    def _mean_codes(self, codes: np.ndarray, styles: list[StyleCodes], shares: np.ndarray) -> tuple:
        """Return codes with the moments of the styles, averaged by their proportions, None, and the proportions."""
        mean = sum(share * transported(codes, style.moments) for style, share in zip(styles, shares, strict=True))
        return np.asarray(mean, np.float32), None, shares.mean((1, 2))

    def _collage(self, codes: np.ndarray, styles: list[StyleCodes], shares: np.ndarray) -> tuple:
        """Return codes and a picture composed of patches of the styles, and the proportions of the styles."""
        size = codes.shape[1:]
        guides = [transported(codes, style.moments) for style in styles]
        quilts = self.method == "quilting"
        matches = (
            [] if quilts and len(styles) == 1 else [self._match(*pair) for pair in zip(guides, styles, strict=True)]
        )
        costs = np.stack([match.costs for match in matches]) if matches else np.zeros((1, *size))
        labels = assign(costs, shares)
        origins = np.zeros((3, *size), int)
        sources: list[np.ndarray] = []
        for i, style in enumerate(styles):
            found = self._quilted(style, guides[i]) if quilts else matches[i].coherent(size)
            found[0] += len(sources)
            origins = np.where(labels == i, found, origins)
            sources += style.sources
        results = Collage(sources).blend(origins, np.ones(1 if quilts else int(self.patch_size)))
        picture = None
        if self.detail:
            owners = np.repeat(np.arange(len(styles)), [len(style.sources) for style in styles])
            offsets = np.concatenate([style.offsets for style in styles])[origins[0]]
            places = [owners[origins[0]], *(origins[1:] * self.stride_ + np.moveaxis(offsets, -1, 0))]
            collage = Collage([style.image for style in styles], self.stride_)
            picture = collage.blend(np.stack(places), smooth_window(self.stride_))
        return results, picture, np.bincount(labels.ravel(), minlength=len(styles)) / labels.size

    def _match(self, guide: np.ndarray, style: StyleCodes) -> Match:
        """Find the nearest patches of a style for those of a code map."""
        patches = style.patches(int(self.patch_size))
        query = patches.query(guide)
        nearest, distances = patches.nearest(query)
        found = distances.numpy().reshape(patches.grid(guide.shape[1:])) / patches.variance
        rows, columns = [
            np.clip(np.arange(n) - int(self.patch_size) // 2, 0, m - 1)
            for n, m in zip(guide.shape[1:], found.shape, strict=True)
        ]
        return Match(patches, query, nearest, found[rows[:, None], columns])

    def _quilted(self, style: StyleCodes, guide: np.ndarray) -> np.ndarray:
        """Return the origins of the cells of a guided quilt, (3, h, w)."""
        patches = style.patches(min(self._block_side(), *guide.shape[1:]))
        rng = np.random.default_rng(self._seed)
        return guided_quilt(style.sources, guide, patches, rng, guidance=self.guidance)

    def _style(self, maps: CodeMaps, index: int) -> StyleCodes:
        """Return the cached codes of a style, computing them if necessary."""
        kept = self.__dict__.setdefault("_kept", {})
        key = index, float(self.style_scale)
        if key not in kept:
            picture = maps.layout.arrange(np.asarray(self.styles_[index])[None])[0].astype(np.float32)
            kept[key] = StyleCodes(maps, resampled(picture, self.style_scale))
        return kept[key]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        state.pop("_kept", None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.random_state is None
        tags.no_validation = True
        return tags

    def _block_side(self) -> int:
        """Return the side of a block in cells."""
        return max(2, round(int(self.block_size) / self.stride_))

    def _check_params(self) -> None:
        check_choice("method", self.method, _METHODS)
        check_number("alpha", self.alpha, numbers.Real, 0, 1)
        check_number("patch_size", self.patch_size, numbers.Integral, 1)
        if self.patch_size % 2 == 0:
            raise ValueError(f"patch_size must be odd, got {self.patch_size}.")
        check_number("block_size", self.block_size, numbers.Integral, 1)
        check_number("guidance", self.guidance, numbers.Real, 0, bounds="neither")
        check_choice("keep_colors", self.keep_colors, (True, False))
        check_choice("detail", self.detail, (True, False))
        check_number("style_scale", self.style_scale, numbers.Real, 0, bounds="neither")

    def _check_sizes(self, styles: list[np.ndarray], stride: int, layout: Any) -> None:
        """Raise an error for styles that are smaller than a patch or a block."""
        needed = int(self.patch_size) * stride
        if self.method == "quilting":
            needed = max(needed, max(2, round(int(self.block_size) / stride)) * stride)
        for i, style in enumerate(styles):
            height, width = layout.arrange(np.asarray(style)[None]).shape[2:]
            if min(height, width) * self.style_scale < needed:
                name = "block_size" if needed > int(self.patch_size) * stride else "patch_size"
                raise ValueError(
                    f"styles[{i}] has {height} × {width} pixels, at style_scale={self.style_scale}, and "
                    f"{name} needs {needed} along each side: pass a larger style, or reduce {name}."
                )

    def _check_contents(self, images: ImageList) -> None:
        """Raise an error for images of another kind than the styles, or too small ones."""
        channel_axis = self.estimator_.layout_.channel_axis
        styles = ImageList(self.styles_, "styles", channel_axis)
        check_alike(images, "X", styles, "styles")
        needed = self.stride_ * (int(self.patch_size) - 1) + 1 if self.method != "statistics" else 1
        for i, (height, width) in enumerate(images.shapes):
            if min(height, width) < needed:
                raise ValueError(
                    f"X[{i}] has {height} × {width} pixels, and patch_size={self.patch_size} needs {needed} along each "
                    "side: reduce patch_size, or enlarge the image."
                )

    def _shares(self, mask: Any) -> np.ndarray:
        """Return the proportion of each style at each position, (n, height, width), or (n, 1, 1) if constant."""
        n = len(self.styles_)
        if mask is not None:
            return check_mask(mask, n, "styles")
        return check_weights(self.weights, n, "styles")[:, None, None]


def _with_luminance_of(styled: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Return ``content`` with the luminance of ``styled``, matched to the mean and variance of its own."""
    if len(content) not in (3, 4):
        return styled
    before, after = (np.tensordot(_LUMA, image[:3], 1)[None] for image in (content, styled))
    found = content.copy()
    found[:3] += transported(after, moments(before)) - before
    return found
