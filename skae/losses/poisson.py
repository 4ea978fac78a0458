"""Poisson likelihood, for counts."""

from __future__ import annotations

import torch
from torch import Tensor

from ._counts import Counts


class Poisson(Counts):
    r"""Negative log-probability of counts with a Poisson distribution, in nats.

    .. math:: \sum_j \left[ \hat x_j - x_j \log \hat x_j + \log x_j! \right], \qquad \hat x = e^{\mathrm{raw}}

    For counts of independent events, whose variance is their mean. X must contain the integers 0, 1, 2, ..., of any
    dtype. Training starts from the mean of each feature (of images and sequences, of each channel): ``raw`` is relative
    to its logarithm. Above e³⁰ the rate grows linearly with ``raw``, so that it does not overflow.

    See Also
    --------
    NegativeBinomial : For overdispersed counts, which are more common.

    Examples
    --------
    >>> import torch
    >>> loss = Poisson()
    >>> loss.setup(n_components=1)
    >>> loss(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))  # a rate of 1
    tensor([2.])
    """

    def negative_log_probability(self, log_mean: Tensor, x: Tensor) -> Tensor:
        return log_mean.exp() - x * log_mean + torch.lgamma(x + 1)

    def draw(self, mean: Tensor) -> Tensor:
        return torch.poisson(mean)
