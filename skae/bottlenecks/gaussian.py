"""The variational bottleneck: a Gaussian posterior for each sample."""

from __future__ import annotations

import math
import numbers
from typing import Any

import torch
from torch import Tensor

from .base import Bottleneck, Latent

# Range of log-variances in which the variance, its inverse and their squares are finite in float32.
_LOG_VARIANCE = -18.0, 10.0


class Gaussian(Bottleneck):
    r"""A Gaussian posterior for each sample, with its Kullback-Leibler divergence from N(0, I) as the penalty.

    It defines a variational autoencoder (Kingma and Welling, 2014). The encoder returns a mean μ and a log-variance log
    σ² for each component. A code is drawn as z = μ + σ ε (reparameterization), and its penalty is, in nats and summed
    over the components,

    .. math:: \beta \, \tfrac12 \sum_k \left(\mu_k^2 + \sigma_k^2 - 1 - \log \sigma_k^2\right).

    With a `skae.losses.Likelihood` and β = 1 the objective is minus the evidence lower bound. Networks with a linear
    skip connection are initialized to probabilistic PCA (Tipping and Bishop, 1999), whose posterior is exactly
    Gaussian.

    Parameters
    ----------
    beta : float, default=1.0
        Weight β of the divergence (Higgins et al., 2017); at least 0.
    warmup : float, default=0.1
        Fraction of the training, in [0, 1], in which the weight grows from 0 to β, in `fit` but not in `partial_fit`;
        without warmup components may collapse early in training (Bowman et al., 2016).
    free_bits : float, default=0.0
        Nats per component that are not penalized in training (Kingma et al., 2016): a component whose mean divergence
        in a batch is lower receives no gradient from it. At least 0.
    importance_samples : int, default=1
        Number of codes drawn for each sample in training. With more than one, the tighter importance-weighted bound
        (Burda et al., 2016) is maximized, at that multiple of the decoder's cost; this requires β = 1 and no free bits.
        The scale of a likelihood is still optimized with equal weights of all codes.

    References
    ----------
    M. E. Tipping and C. M. Bishop, 1999. Probabilistic principal component analysis. Journal of the Royal Statistical
    Society B 61.

    D. P. Kingma and M. Welling, 2014. Auto-encoding variational Bayes. ICLR.

    S. R. Bowman, L. Vilnis, O. Vinyals, A. Dai, R. Jozefowicz and S. Bengio, 2016. Generating sentences from a
    continuous space. CoNLL.

    Y. Burda, R. Grosse and R. Salakhutdinov, 2016. Importance weighted autoencoders. ICLR.

    D. P. Kingma, T. Salimans, R. Jozefowicz, X. Chen, I. Sutskever and M. Welling, 2016. Improved variational inference
    with inverse autoregressive flow. NeurIPS.

    I. Higgins, L. Matthey, A. Pal, C. Burgess, X. Glorot, M. Botvinick, S. Mohamed and A. Lerchner, 2017. beta-VAE:
    learning basic visual concepts with a constrained variational framework. ICLR.

    Examples
    --------
    >>> import torch
    >>> part = Gaussian(beta=2.0)
    >>> part.setup(n_components=1)
    >>> part(torch.tensor([[3.0, 0.0]])).penalty  # mean 3, variance 1
    tensor([9.])
    """

    standard_normal = True
    progress = 1.0  # updated in training

    def __init__(
        self, beta: float = 1.0, warmup: float = 0.1, free_bits: float = 0.0, importance_samples: int = 1
    ) -> None:
        super().__init__()
        self.beta = beta
        self.warmup = warmup
        self.free_bits = free_bits
        self.importance_samples = importance_samples

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        name = type(self).__name__
        self._check_number("beta", numbers.Real, 0)
        self._check_number("warmup", numbers.Real, 0, 1)
        self._check_number("free_bits", numbers.Real, 0)
        self._check_number("importance_samples", numbers.Integral, 1)
        if self.importance_samples > 1 and (self.beta != 1 or self.free_bits):
            raise ValueError(
                f"{name}: importance_samples={self.importance_samples} needs beta=1 and free_bits=0, "
                f"got beta={self.beta} and free_bits={self.free_bits}."
            )

    def n_outputs(self, n_components: int) -> int:
        return 2 * n_components

    def forward(self, h: Tensor) -> Latent:
        k = self.importance_samples
        mean, log_variance = self.distribution(h if k == 1 else h.repeat(k, 1))
        noise = self.draw_like(mean)
        z = mean + (log_variance / 2).exp() * noise
        if k > 1:  # log q(z|x) - log p(z), needed by the bound instead of its mean
            return Latent(z, self._weight() * 0.5 * (z.square() - noise.square() - log_variance).sum(1))
        divergence = divergence_from_standard_normal(mean, log_variance)
        if self.training and self.free_bits:
            mean_divergence = self.ranks.mean(divergence.mean(0), len(divergence))
            divergence = torch.where(mean_divergence > self.free_bits, divergence, self.free_bits)
        return Latent(z, self._weight() * divergence.sum(1))

    def code(self, h: Tensor) -> Tensor:
        return self.distribution(h)[0]

    def distribution(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log-variances of the codes, each (n, n_components)."""
        width = h.shape[1] // 2
        mean, log_variance = h[:, :width], h[:, width:]  # `chunk` of any width has no counterpart in ONNX
        # Beyond the range the gradient is that at its end, so that the divergence still pulls it back.
        return mean, log_variance + (log_variance.clamp(*_LOG_VARIANCE) - log_variance).detach()

    def _weight(self) -> float:
        return self.beta * self._warmth()

    def _warmth(self) -> float:
        """Return the current fraction of the full weight."""
        if not self.training or self.progress >= self.warmup:
            return 1.0
        return self.progress / self.warmup

    @torch.no_grad()
    def init_skip(self, skip: Any, x: Tensor) -> None:
        """Initialize linear maps to the maximum-likelihood probabilistic PCA of the samples ``x``.

        With the variances λ along the directions u and the mean variance s² along all others, the decoder's columns
        are (λ − s²)^½ u and the posterior of a sample is N((λ − s²)^½ / λ · uᵀ(x − mean), s²/λ).
        """
        k = skip.encoder.out_features // 2
        axes = skip.principal_axes(x, k)
        n_axes, n_features = axes.directions.shape
        # With a component for each direction, the last direction is left to the noise.
        noise = axes.rest / (n_features - n_axes) if n_features > n_axes else axes.variances.min()
        mean_variance = (axes.variances.sum() + axes.rest) / n_features
        noise = noise.clamp(min=max(1e-6 * float(mean_variance), 1e-12))
        scale = torch.maximum(axes.variances, noise)
        signal = (scale - noise).sqrt()
        skip.set_axes(axes, to_code=signal / scale, to_data=signal)
        skip.encoder.weight[k:] = 0
        skip.encoder.bias[k:] = 0
        skip.encoder.bias[k : k + n_axes] = (noise / scale).log()


def divergence_from_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of N(mean, variance) from N(0, 1), component by component, in nats."""
    return 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance)


def log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the log-density of N(mean, variance) at ``z``, component by component, in nats."""
    return -0.5 * ((z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi))
