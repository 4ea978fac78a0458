"""Reconstruction losses, one value per sample.

Every loss is a sum over features, not a mean, so that a penalty on the code (a KL divergence, an
L1 norm) has the relative weight of the paper that introduced it.
"""

from .base import Likelihood, Loss
from .bernoulli import Bernoulli
from .categorical import Categorical
from .discretized_logistic import DiscretizedLogistic
from .errors import AbsoluteError, Huber, SquaredError
from .gaussian import Gaussian
from .laplace import Laplace
from .mixed import Mixed
from .negative_binomial import NegativeBinomial
from .poisson import Poisson

__all__ = [
    "AbsoluteError",
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "Gaussian",
    "Huber",
    "Laplace",
    "Likelihood",
    "Loss",
    "Mixed",
    "NegativeBinomial",
    "Poisson",
    "SquaredError",
]
