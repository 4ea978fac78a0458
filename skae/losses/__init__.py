"""Reconstruction losses: how far a reconstruction lies from its target, row by row.

Every loss is a sum over the features of a row, never a mean, so that a penalty on the code
(a KL divergence, an L1 norm) keeps the weight that its paper gives it.
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
