"""Discrete codes from a codebook of vectors."""

from __future__ import annotations

import numbers

import numpy as np
import torch
from torch import Tensor

from .._density.k_means import k_means
from .._density.tables import LARGEST_ALPHABET
from ._usage import count_levels, usage_metrics
from .base import Bottleneck, Latent

_ROWS_OF_A_CODE = 16  # maximum number of vectors per center in k-means
_MOST_DISTANCES = 2**24  # between vectors and codes that are computed at once
_MOMENTUM = 0.2  # of the running mean and variance
_LEAST_VARIANCE = 1e-30  # smallest value whose square root is accurate in float32


class VectorQuantizer(Bottleneck):
    r"""Vector quantization: replace codes by the nearest vector of a codebook (van den Oord et al., 2017).

    The quantization has a straight-through gradient with respect to the encoder's output h. The vectors e of the
    codebook are moving averages of the outputs assigned to them (ibid., appendix A.1), without a gradient,

    .. math::
        N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \quad
        m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{i: k_i = k} h_i, \quad e_k = m_k / N_k,

    and the encoder is kept close to the codebook by the commitment loss :math:`\beta \, \lVert h - e \rVert^2`, in
    training only. The codebook is initialized by k-means. Unused vectors are reinitialized to random outputs of the
    batch. Above, h is the standardized output of the encoder, with running statistics of its mean and of one standard
    deviation for all components, since the output of random weights changes faster than a codebook. It is multiplied by
    the initial standard deviation, or by 1 if that is less than the standard deviation of the data.

    Each position of a spatial code is quantized separately, with the same codebook. ``net_.history`` records the
    fraction of the vectors in use as ``bottleneck_usage``, and the equivalent number of equally frequent vectors as
    ``bottleneck_perplexity``.

    Parameters
    ----------
    n_codes : int, default=512
        Number of vectors in the codebook, from 2 to 4096.
    decay : float, default=0.9
        Decay γ of the moving averages, in [0, 1). 0.99, as in the paper, is for long training: if the codebook lags
        behind the encoder, its vectors fall out of use.
    commitment : float, default=1.0
        Weight β of the commitment loss; at least 0. The paper uses 0.25.
    restart_below : float, default=0.05
        Vectors are reinitialized if their moving average of uses falls below this fraction of the mean over the
        codebook, in [0, 1]; 0 disables it.

    References
    ----------
    A. van den Oord, O. Vinyals and K. Kavukcuoglu, 2017. Neural discrete representation learning. NeurIPS.

    Examples
    --------
    >>> import torch
    >>> part = VectorQuantizer(n_codes=2)
    >>> part.setup(n_components=2)
    >>> _ = part.init_from(torch.tensor([[0.0, 1.0], [0.0, 1.0], [4.0, 4.0]]))
    >>> part.code(torch.tensor([[0.5, 0.5]]))
    tensor([[-1.3333, -1.0000]])
    """

    per_position = True
    discrete = True
    codebook: Tensor
    uses: Tensor
    sums: Tensor
    mean: Tensor
    variance: Tensor
    size: Tensor
    counts: Tensor

    def __init__(
        self, n_codes: int = 512, decay: float = 0.9, commitment: float = 1.0, restart_below: float = 0.05
    ) -> None:
        super().__init__()
        self.n_codes = n_codes
        self.decay = decay
        self.commitment = commitment
        self.restart_below = restart_below

    def setup(self, n_components: int, n_positions: int = 1) -> None:
        self._check_number("n_codes", numbers.Integral, 2, LARGEST_ALPHABET)
        self._check_number("decay", numbers.Real, 0, 1, "left")
        self._check_number("commitment", numbers.Real, 0)
        self._check_number("restart_below", numbers.Real, 0, 1)
        # Initial values in case `init_from` is not called.
        self.register_buffer("codebook", _spread(self.n_codes, n_components))
        self.register_buffer("uses", torch.ones(self.n_codes))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("mean", torch.zeros(n_components))
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("size", torch.ones(()))
        self.register_buffer("counts", torch.zeros(1, self.n_codes), persistent=False)

    @property
    def alphabet(self) -> tuple[int, ...]:
        return (len(self.codebook),)

    def init_from(self, h: Tensor, generator: torch.Generator | None = None) -> bool:
        """Initialize the codebook by k-means of the encoder's output; return False, as quantized PCA is not PCA."""
        self.mean.copy_(h.mean(0))
        variance = (h - self.mean).square().mean()
        self.variance.copy_(torch.where(variance > 0, variance, 1.0))
        self.size.copy_(self.variance.sqrt().clamp(min=1))
        h = self._scaled(h)
        # With no more vectors than codes, the vectors themselves are the initial codebook.
        n_codes = len(self.codebook)
        n_rows = min(_ROWS_OF_A_CODE * n_codes, max(n_codes, _MOST_DISTANCES // n_codes))
        index = torch.randperm(len(h), generator=generator)[:n_rows]
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        rows = np.unique(h[index.to(h.device)].cpu().double().numpy(), axis=0)
        if len(rows) > n_codes:
            rows, _ = k_means(rows, np.ones(len(rows)), n_codes, seed)
        # With fewer vectors than codes, some occur several times, and one of the duplicates is used.
        centers = np.resize(rows, (n_codes, rows.shape[1]))
        self.codebook.copy_(torch.from_numpy(centers))
        self.sums.copy_(self.codebook)
        self.uses.fill_(1)
        return False

    def _scaled(self, h: Tensor) -> Tensor:
        """Return the encoder's output in the scale of the codebook."""
        return (h - self.mean) * (self.size * self.variance.clamp(min=_LEAST_VARIANCE).rsqrt())

    def _follow_scale(self, h: Tensor) -> None:
        """Update the running statistics with those of a batch."""
        self.mean.lerp_(self.ranks.mean(h.mean(0), len(h)), _MOMENTUM)
        self.variance.lerp_(self.ranks.mean((h - self.mean).square().mean(), len(h)), _MOMENTUM)

    def forward(self, h: Tensor) -> Latent:
        if self.training:
            self._follow_scale(h.detach())
        h = self._scaled(h)
        indices = self.indices(h)
        z = self.from_indices(indices)
        penalty = h.new_zeros(h.shape[0])
        if not self.training:
            return Latent(z, penalty, indices=indices)
        aux = self.commitment * (h - z).square().sum(1)
        z = h + (z - h).detach()
        count_levels(self.counts, indices)
        self._follow(h.detach(), indices[:, 0])
        return Latent(z, penalty, aux, indices)

    def _follow(self, h: Tensor, indices: Tensor) -> None:
        """Update the codebook with the vectors of a batch, and reinitialize unused vectors.

        No Python branch depends on values, so that it can be part of a CUDA graph.
        """
        n_codes, share = len(self.codebook), 1 - self.decay
        # In units of the mean use, which is 1 initially, so that batches may differ in size.
        each = torch.full_like(indices, n_codes / len(h), dtype=h.dtype)
        uses = torch.zeros_like(self.uses).index_add_(0, indices, each)
        sums = torch.zeros_like(self.sums).index_add_(0, indices, each[:, None] * h)
        drawn = h[torch.randint(len(h), (n_codes,), device=h.device)]
        self.uses.lerp_(self.ranks.mean(uses, len(h)), share)
        self.sums.lerp_(self.ranks.mean(sums, len(h)), share)
        self.ranks.take_first(drawn)
        dead = self.uses < self.restart_below
        self.uses.copy_(torch.where(dead, 1.0, self.uses))
        self.sums.copy_(torch.where(dead[:, None], drawn, self.sums))
        # Vectors that have been unused for long keep their values.
        used = (self.uses > torch.finfo(h.dtype).tiny)[:, None]
        self.codebook.copy_(torch.where(used, self.sums / self.uses[:, None], self.codebook))

    def code(self, h: Tensor) -> Tensor:
        return self.project(self._scaled(h))

    def project(self, z: Tensor) -> Tensor:
        return self.from_indices(self.indices(z))

    def indices(self, z: Tensor) -> Tensor:
        """Return the indices (n, 1) of the nearest vectors."""
        if torch.compiler.is_exporting():  # in operations supported by ONNX
            return (z[:, None] - self.codebook).square().sum(2).argmin(1, keepdim=True)
        # By differences, so that a vector of the codebook has distance 0 from itself only.
        parts = z.detach().split(max(1, _MOST_DISTANCES // len(self.codebook)))
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cat([torch.cdist(h, self.codebook, compute_mode=exact).argmin(1, keepdim=True) for h in parts])

    def from_indices(self, indices: Tensor) -> Tensor:
        """Return the vectors with the indices (n, 1)."""
        return self.codebook[indices[:, 0]]

    def metrics(self) -> dict[str, float]:
        """Return the fraction of the vectors in use, and their perplexity."""
        self.counts.copy_(self.ranks.sum(self.counts))
        return usage_metrics(self.counts, self.alphabet)


def _spread(n_codes: int, n_components: int) -> Tensor:
    """Return vectors drawn from N(0, I) with a fixed seed."""
    return torch.randn(n_codes, n_components, generator=torch.Generator().manual_seed(0))
