"""Negative binomial likelihood, for overdispersed counts."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Gamma
from torch.nn import functional as F

from .._utils.checks import check_choice
from ._counts import Counts
from .base import parameter_shape

_RANGE = 1e-6, 1e3  # of dispersions
_N_STEPS = 40  # of the golden section search


class NegativeBinomial(Counts):
    r"""Negative log-probability of counts with a negative binomial distribution, in nats.

    .. math:: P(x) = \frac{\Gamma(x + r)}{\Gamma(r)\, x!} \left(\frac{r}{r + \hat x}\right)^r
              \left(\frac{\hat x}{r + \hat x}\right)^x, \qquad \hat x = e^{\mathrm{raw}}, \quad r = 1 / \alpha

    The mean is :math:`\hat x` and the variance :math:`\hat x + \alpha \hat x^2`: a Poisson distribution whose rate
    itself varies, with the coefficient of variation √α. It approaches a Poisson distribution for α near 0. X must
    contain the integers 0, 1, 2, ..., of any dtype. Training starts from the mean of each feature, as in `Poisson`.

    Parameters
    ----------
    dispersion : 'learned' or float, default='learned'
        The dispersion α. 'learned' trains one for each feature (of images and sequences, each channel), initialized to
        the maximum-likelihood value; a float, above 0, is a fixed value for all. α is limited to the range from 1e-6 to
        1000.

    References
    ----------
    J. M. Hilbe, 2011. Negative binomial regression. Cambridge University Press. (α as in its "NB2".)

    Examples
    --------
    >>> import torch
    >>> loss = NegativeBinomial(dispersion=1.0)
    >>> loss.setup(n_components=1)
    >>> loss(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))  # 1/2 and 1/4: a geometric distribution
    tensor([2.0794])
    """

    def __init__(self, dispersion: str | float = "learned") -> None:
        super().__init__()
        self.dispersion = dispersion

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None) -> None:
        super().setup(n_components, target_shape)
        if isinstance(self.dispersion, str):
            check_choice(f"{type(self).__name__}: dispersion (or a number above 0)", self.dispersion, ("learned",))
            self.log_dispersion = nn.Parameter(torch.zeros(parameter_shape(target_shape)))
        else:
            self._check_number("dispersion", numbers.Real, 0, bounds="neither")
            self.register_buffer("log_dispersion", torch.tensor(math.log(self.dispersion)))

    @torch.no_grad()
    def init_from(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        super().init_from(raw, x, observed)
        self.refit_scale(raw, x, observed)

    @torch.no_grad()
    def refit_scale(self, raw: Tensor, x: Tensor, observed: Tensor | None = None) -> None:
        """Find the maximum-likelihood dispersion by golden section search on its logarithm."""
        if not isinstance(self.dispersion, str):
            return
        log_mean, x, shape = self._log_mean(raw).double(), x.double(), self.log_dispersion.shape

        def value(log_dispersion: Tensor) -> Tensor:
            values = _negative_log_probability(log_mean, x, -log_dispersion)
            return (values if observed is None else torch.where(observed, values, 0)).sum_to_size(shape)

        low, high = (torch.full_like(self.log_dispersion, math.log(end), dtype=torch.float64) for end in _RANGE)
        golden = (math.sqrt(5) - 1) / 2
        for _ in range(_N_STEPS):
            left, right = high - golden * (high - low), low + golden * (high - low)
            is_left = value(left) < value(right)
            low, high = torch.where(is_left, low, left), torch.where(is_left, right, high)
        self.log_dispersion.copy_((low + high) / 2)

    @property
    def current_dispersion(self) -> Tensor:
        """Return the dispersion α in its range."""
        return self._log_dispersion().exp()

    def _log_dispersion(self) -> Tensor:
        # Beyond the range the gradient is that at its end, so that a learned dispersion can recover.
        found = self.log_dispersion.double()
        return found + (found.clamp(*map(math.log, _RANGE)) - found).detach()

    def negative_log_probability(self, log_mean: Tensor, x: Tensor) -> Tensor:
        return _negative_log_probability(log_mean, x, -self._log_dispersion())

    def draw(self, mean: Tensor) -> Tensor:
        r = (1 / self.current_dispersion).expand(mean.shape)
        return torch.poisson(Gamma(r, r / mean.clamp(min=1e-30)).sample())


def _negative_log_probability(log_mean: Tensor, x: Tensor, log_r: Tensor) -> Tensor:
    r, d = log_r.exp(), log_mean - log_r  # log-odds of one more count
    return torch.lgamma(r) + torch.lgamma(x + 1) - torch.lgamma(x + r) + r * F.softplus(d) + x * F.softplus(-d)
