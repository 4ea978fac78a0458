"""Interface of critics, with the weights of the terms of the adversarial training."""

from __future__ import annotations

import numbers
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .._utils.component import Component


class Critic(Component):
    r"""Base class of critics: a network D with high scores for real samples, and the weights of the loss terms.

    For each batch the critic is trained first, with the hinge loss (Lim and Ye, 2017)

    .. math:: E \max(0, 1 - D(x)) + E \max(0, 1 + D(\hat x)),

    then the decoder, with

    .. math:: r \frac{\mathrm{MSE}}{\mathrm{MSE}_0}
              + f \sum_l \frac{E (h_l(x) - h_l(\hat x))^2}{\operatorname{Var} h_l(x)} - a E D(\hat x).

    Half of the decoded samples :math:`\hat x` are reconstructions of the batch, from codes drawn from the posteriors of
    a variational autoencoder; the other half are decoded from draws of the prior, if there is one. The first two terms
    compare reconstructions with the samples x: by their squared error, relative to that before the phase, and by the
    hidden layers h of the critic (Larsen et al., 2016).

    The decoder with the smallest distance is kept, before the phase (epoch 0) or after one of its epochs:

    .. math:: \tfrac12 \left(d(x, \hat x_q) + d(x, \hat x_p)\right)
              \max\left(1, \frac{\mathrm{MSE}}{(1 + t) \, \mathrm{MSE}_0}\right)

    Here d is the Fréchet distance between held-out samples x and their reconstructions (q), with the same sample
    weights, and between x and samples of the prior (p), in features of a network with fixed random weights: two
    convolutions and the means of their output over quarters of the image, or two dense layers. Without a prior only the
    first is used. If the held-out squared error has increased by more than the tolerance t, the distance is multiplied
    by the excess. The critic is not used in it. At most about 5,000 samples are compared, which are training samples if
    fewer than 10 are held out.

    A subclass defines `layers`, and has these parameters in its constructor. All layers with weights should be
    spectrally normalized (Miyato et al., 2018) by `normalized`, which limits the Lipschitz constant of D.

    Parameters
    ----------
    adversarial : float
        Weight a of the scores in the decoder's loss; at least 0.
    features : float
        Weight f of the distance in the hidden layers of the critic; at least 0.
    reconstruction : float
        Weight r of the squared error; at least 0.
    lr, decoder_lr : float
        Initial learning rates of Adam for the critic and for the decoder, with betas (0, 0.9), which decay to 0. That
        of the critic is larger (Heusel et al., 2017).
    max_epochs : int or 'auto'
        Number of epochs of the phase. 'auto' chooses 1 to 50 epochs, for about 1,500 batches in total.
    tolerance : float
        Relative increase t of the held-out squared error without a penalty; at least 0.

    References
    ----------
    J. H. Lim and J. C. Ye, 2017. Geometric GAN. arXiv:1705.02894.

    T. Miyato, T. Kataoka, M. Koyama and Y. Yoshida, 2018. Spectral normalization for generative adversarial networks.
    ICLR.

    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler and S. Hochreiter, 2017. GANs trained by a two time-scale update
    rule converge to a local Nash equilibrium. NeurIPS.
    """

    _abstract = True
    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        adversarial: float = 0.3,
        features: float = 1.0,
        reconstruction: float = 0.2,
        lr: float = 2e-3,
        decoder_lr: float = 1e-3,
        max_epochs: int | str = "auto",
        tolerance: float = 0.5,
    ) -> None:
        super().__init__()
        self.adversarial = adversarial
        self.features = features
        self.reconstruction = reconstruction
        self.lr = lr
        self.decoder_lr = decoder_lr
        self.max_epochs = max_epochs
        self.tolerance = tolerance

    def setup(self, n_components: int, target_shape: Sequence[int] | None = None, n_conditions: int = 0) -> None:
        """Check the parameters, and create the layers for samples of ``target_shape``, if given.

        The critic of a conditional estimator also receives the condition of each sample, of width ``n_conditions``.
        """
        for name in ("adversarial", "features", "reconstruction", "tolerance"):
            self._check_number(name, numbers.Real, 0)
        for name in ("lr", "decoder_lr"):
            self._check_number(name, numbers.Real, 0, bounds="neither")
        if not (isinstance(self.max_epochs, str) and self.max_epochs == "auto"):
            self._check_number("max_epochs", numbers.Integral, 0)
        if target_shape is not None:
            self.check_shape(target_shape)
            self.stages = nn.ModuleList(self.layers(tuple(target_shape), n_conditions))
            self.register_buffer("mean", torch.zeros(()))
            self.register_buffer("scale", torch.ones(()))

    def check_shape(self, target_shape: Sequence[int]) -> None:
        """Raise an error for sample shapes that the critic does not support; does nothing by default."""

    def layers(self, target_shape: Sequence[int], n_conditions: int) -> list[nn.Module]:
        """Return the stages of the network; the last one returns scores, one for each sample or each patch."""
        raise NotImplementedError(f"{type(self).__name__} does not define layers(target_shape, n_conditions)")

    def init_from(self, x: Tensor) -> None:
        """Set the mean and the scale of real samples ``x``, (n, ...)."""
        self.mean.copy_(x.mean())
        self.scale.copy_(x.std().clamp(min=1e-6))

    def forward(self, x: Tensor, c: Tensor | None = None) -> list[Tensor]:
        """Return the outputs of all stages for samples ``x`` under the conditions ``c``; scores come last."""
        h = (x - self.mean) / self.scale
        if c is not None:  # at every pixel
            c = c.to(h).reshape(*c.shape, *[1] * (h.ndim - 2))
            h = torch.cat([h, c.expand(*c.shape[:2], *h.shape[2:])], 1)
        outputs = []
        for stage in self.stages:
            h = stage(h)
            outputs.append(h)
        return outputs


def normalized(layer: nn.Module) -> nn.Module:
    """Return ``layer`` with spectral normalization of its weights."""
    return nn.utils.parametrizations.spectral_norm(layer)
