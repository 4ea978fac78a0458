"""Convolutions in whole numbers, which give the same sums on every machine, whatever the order of additions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST = 2**52  # of sums; float64 holds all whole numbers up to 2 ** 53


class WholeConv2d:
    r"""Convolution of whole numbers that are held in float64, padded with zeros: its output has the size of its input.

    A whole number x of the input stands for :math:`x / 2^{b}` with b = ``n_bits_in``, a weight w for :math:`w / 2^{S}`
    with S = ``n_bits_weight``, and a sum for its :math:`2^{-(b + S)}`-fold. No sum, and no part of one, exceeds

    .. math:: \max_o \left(|\beta_o| + a \sum_{i} |w_{oi}|\right), \qquad a = \text{largest\_input},

    with biases :math:`\beta`. Below :math:`2^{53}` float64 rounds none of them, so that all ways to compute them give
    the same (Ballé, Johnston and Minnen, 2019, use integers for the same end).

    Parameters
    ----------
    weight : Tensor of shape (n_out, n_in / groups, height, width)
        Weights, rounded to multiples of :math:`2^{-S}`. Height and width are odd.
    bias : Tensor of shape (n_out,)
        Biases, rounded to multiples of :math:`2^{-(b + S)}`.
    n_bits_weight, n_bits_in : int
        S and b; at least 0.
    largest_input : int
        Largest magnitude of the inputs, as whole numbers. It is for the caller to clamp them: see `shift`.
    groups : int, default=1
        As in `torch.nn.Conv2d`.

    Attributes
    ----------
    weight, bias : Tensor of float64
        The same as whole numbers.
    n_bits_out : int
        b + S.
    largest : int
        The bound above.

    Raises
    ------
    ValueError
        If the bound exceeds :math:`2^{52}`, or a weight is not finite.

    References
    ----------
    J. Ballé, N. Johnston and D. Minnen, 2019. Integer networks for data compression with latent-variable models. ICLR.

    Examples
    --------
    >>> import torch
    >>> from skae._density.whole_numbers import WholeConv2d
    >>> conv = WholeConv2d(torch.full((1, 1, 1, 3), 0.5), torch.zeros(1), n_bits_weight=2, n_bits_in=0, largest_input=9)
    >>> conv(torch.tensor([[[[1.0, 2.0, 3.0]]]], dtype=torch.float64)).tolist(), conv.largest
    ([[[[6.0, 12.0, 10.0]]]], 54)
    """

    def __init__(
        self,
        weight: Any,
        bias: Any,
        *,
        n_bits_weight: int = 12,
        n_bits_in: int,
        largest_input: int,
        groups: int = 1,
    ) -> None:
        self.n_bits_out, self.groups = n_bits_weight + n_bits_in, groups
        self.weight = (_detached(weight) * 2.0**n_bits_weight).round()
        self.bias = (_detached(bias) * 2.0**self.n_bits_out).round()
        if not (self.weight.isfinite().all() and self.bias.isfinite().all()):
            raise ValueError("weight and bias must be finite, got NaN or infinity. Try a lower lr.")
        bound = (self.weight.abs().flatten(1).sum(1) * largest_input + self.bias.abs()).max().item()
        if bound > LARGEST:
            raise ValueError(
                f"Sums must not exceed 2 ** 52 = {LARGEST}, but weights of up to {self.weight.abs().max().item():.3g} "
                f"and inputs of up to {largest_input} may reach {bound:.3g}. Try fewer n_bits_weight "
                f"({n_bits_weight}), a smaller largest_input, or a network with smaller weights."
            )
        self.largest = int(bound)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the sums (n, n_out, h, w) for whole numbers ``x``, float64 of shape (n, n_in, h, w)."""
        if self.groups == 1 or self.weight.shape[1] != 1 or len(self.weight) != self.groups:
            return F.conv2d(x, self.weight, self.bias, padding=self._padding(), groups=self.groups)
        # Each channel by itself, for which torch has nothing fast in float64.
        padded = F.pad(x, [side for side in self._padding()[::-1] for _ in range(2)])
        found = self.bias[:, None, None].expand(x.shape)
        for i, j in self.weight[:, 0].any(0).nonzero().tolist():
            part = padded[:, :, i : i + x.shape[2], j : j + x.shape[3]]
            found = torch.addcmul(found, part, self.weight[:, 0, i, j, None, None])
        return found

    def by_matmul(self, x: Tensor) -> Tensor:
        """Return the same sums, computed in another way: as a matrix product of windows and weights."""
        windows = F.unfold(x, self.weight.shape[2:], padding=self._padding()).unflatten(1, (self.groups, -1))
        weight = self.weight.flatten(1).unflatten(0, (self.groups, -1))
        return (weight @ windows).flatten(1, 2).unflatten(2, x.shape[2:]) + self.bias[:, None, None]

    def _padding(self) -> tuple[int, int]:
        return self.weight.shape[2] // 2, self.weight.shape[3] // 2


def shift(x: Tensor, n_bits: int, low: int, high: int) -> Tensor:
    """Divide whole numbers by ``2 ** n_bits``, rounded down, and clamp them to ``low`` and ``high``, exactly."""
    return (x / 2.0**n_bits).floor().clamp(low, high)


def _detached(values: Any) -> Tensor:
    return torch.as_tensor(values).detach().double()
