"""Metrics of reconstructions, codes and generated samples: functions of arrays, for any model."""

from ._copies import copied_share
from ._dci import dci
from ._disentanglement import disentanglement, mutual_information_gap, separated_attribute_predictability
from ._generation import frechet_distance, kernel_distance
from ._latent import active_units
from ._neighbors import memorization, precision_recall_density_coverage
from ._reconstruction import peak_signal_noise_ratio, reconstruction_error, structural_similarity
from ._seams import seam_ratio
from ._sharpness import sharpness
from ._textures import patch_distance
from ._two_sample import two_sample_auc
from ._variance import explained_variance

__all__ = [
    "active_units",
    "copied_share",
    "dci",
    "disentanglement",
    "explained_variance",
    "frechet_distance",
    "kernel_distance",
    "memorization",
    "mutual_information_gap",
    "patch_distance",
    "peak_signal_noise_ratio",
    "precision_recall_density_coverage",
    "reconstruction_error",
    "seam_ratio",
    "separated_attribute_predictability",
    "sharpness",
    "structural_similarity",
    "two_sample_auc",
]
