"""Additive Gaussian noise."""

from __future__ import annotations

import numbers

import numpy as np
import torch
from torch import Tensor

from .._utils.checks import check_choice, check_number
from .base import Noise


class GaussianNoise(Noise):
    r"""Add independent Gaussian noise of a fixed level, or of random levels.

    .. math:: x' = x + \sigma \varepsilon, \qquad \varepsilon_j \sim N(0, 1),
        \qquad \sigma \sim U(\text{low}, \text{high})

    With a range, one level :math:`\sigma` is drawn for each sample in every batch, so that one network learns to remove
    noise of any level in the range (Zhang, Zuo and Zhang, 2018).

    Parameters
    ----------
    scale : float or (float, float), default=0.1
        Standard deviation of the noise, or its range (low, high), in units of ``unit``; at least 0.
    unit : {'std', 'data'}, default='std'
        Unit of ``scale``: ``'std'`` is the root mean variance of the features, ``sqrt(X.var(axis=0).mean())``;
        ``'data'`` is the unit of X, such as gray levels.

    References
    ----------
    K. Zhang, W. Zuo and L. Zhang, 2018. FFDNet: toward a fast and flexible solution for CNN-based image denoising. IEEE
    Transactions on Image Processing 27.

    Examples
    --------
    >>> import torch
    >>> GaussianNoise(scale=0.1).eval()(torch.ones(1, 2))
    tensor([[1., 1.]])

    Levels from 0 to 50 for images in 0..255:

    >>> import numpy as np
    >>> from skae import AutoencoderTransformer
    >>> X = np.random.default_rng(0).integers(0, 256, size=(100, 8))
    >>> noise = GaussianNoise((0, 50), unit="data")
    >>> ae = AutoencoderTransformer(2, noise=noise, max_epochs=1, random_state=0).fit(X)
    """

    unit: str = "std"  # missing in pickles of version 0.2

    def __init__(self, scale: float | tuple[float, float] = 0.1, unit: str = "std") -> None:
        super().__init__()
        self.scale = scale
        self.unit = unit

    def setup(self, n_components: int) -> None:
        name = type(self).__name__
        check_choice(f"{name}: unit", self.unit, ("std", "data"))
        if not isinstance(self.scale, tuple | list):
            self._check_number("scale", numbers.Real, 0)
            return
        for i, level in enumerate(self.scale):
            check_number(f"{name}: scale[{i}]", level, numbers.Real, 0)
        if len(self.scale) != 2 or self.scale[0] > self.scale[1]:
            raise ValueError(
                f"{name}: scale must be a number, or a range (low, high) with low <= high, got {self.scale!r}."
            )

    def corrupt(self, x: Tensor) -> Tensor:
        unit = self.data_scale if self.unit == "data" else 1.0
        noise = torch.randn_like(x)
        if isinstance(unit, np.ndarray):  # one scale for each feature
            noise, unit = noise / torch.from_numpy(unit).to(x), 1.0
        if not isinstance(self.scale, tuple | list):
            return torch.add(x, noise, alpha=float(self.scale) / unit)
        low, high = (float(level) / unit for level in self.scale)
        level = x.new_empty(len(x), *[1] * (x.ndim - 1)).uniform_(low, high)
        return torch.addcmul(x, level, noise)
