"""Reconstruction losses, one value per sample.

Every loss is a sum over features, not a mean, so that a penalty on the code (a KL divergence, an
L1 norm) has the relative weight of the paper that introduced it.
"""

from .base import Likelihood, Loss
from .bernoulli import Bernoulli
from .discretized_logistic import DiscretizedLogistic
from .errors import AbsoluteError, Huber, SquaredError
from .gaussian import Gaussian
from .laplace import Laplace

__all__ = [
    "AbsoluteError",
    "Bernoulli",
    "DiscretizedLogistic",
    "Gaussian",
    "Huber",
    "Laplace",
    "Likelihood",
    "Loss",
    "SquaredError",
]
