"""
Micrographs: denoised without a clean one
=========================================

A micrograph with short exposure is noisy, and a clean one to learn from there often is not. Two noisy ones of the same
field will do (Lehtinen et al., 2018): the noise of the second cannot be predicted from the first, so what the network
learns is what both have in common.
"""

# %%
# The upper part of a stained section, taken eight times with about a hundred photons for white; the lower part once.
# With ``X_target`` the network is trained to predict the next exposure from each.
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

from skae import ConvAutoencoder
from skae.metrics import peak_signal_noise_ratio
from skae.plotting import ReconstructionDisplay

section = data.immunohistochemistry() / 255
upper, lower = section[:320], section[320:]
rng = np.random.default_rng(0)
n_photons = 100


def expose(image):
    """Count photons."""
    return rng.poisson(n_photons * image) / n_photons


exposures = [expose(upper) for _ in range(8)]
ae = ConvAutoencoder(
    32,
    crop_size=48,
    n_crops=800,
    augmentation="flip_rotate",
    module__dense=False,
    module__channels=48,
    module__downsampling="unshuffle",
    module__upsampling="shuffle",
    module__n_residual_blocks=2,
    batch_size=16,
    max_epochs=10,
    random_state=0,
).fit(exposures, X_target=exposures[1:] + exposures[:1])

noisy = expose(lower)
restored = {"autoencoder": ae.reconstruct([noisy])[0].clip(0, 1)}
display = ReconstructionDisplay.from_predictions(
    [noisy.clip(0, 1)], [restored["autoencoder"]], X_target=[lower], zoom=(60, 150, 60, 90)
)
display.ax_.set_title("The lower part of the section: noisy, restored by the autoencoder, and without noise")
plt.show()

# %%
# Filters, each with the setting that suits it best on this very part.


def psnr(image):
    """Peak signal-to-noise ratio on the lower part, in dB."""
    return peak_signal_noise_ratio(lower[None], image.clip(0, 1)[None], data_range=1)


def best(function, name, values, **settings):
    """The lower part after a filter with the best setting."""
    return max((function(noisy, channel_axis=-1, **settings, **{name: v}).clip(0, 1) for v in values), key=psnr)


means = {"patch_size": 5, "patch_distance": 6, "sigma": 0.08}
shrinkage = {"wavelet": "db2", "convert2ycbcr": True, "rescale_sigma": True}
restored["non-local means"] = best(denoise_nl_means, "h", [0.03, 0.04, 0.06, 0.08], **means)
restored["total variation"] = best(denoise_tv_chambolle, "weight", [0.04, 0.06, 0.08, 0.1])
restored["wavelets"] = best(denoise_wavelet, "sigma", [0.06, 0.07, 0.08, 0.1], **shrinkage)
print(f"{'noisy':16} {psnr(noisy):.2f} dB")
for name, image in restored.items():
    print(f"{name:16} {psnr(image):.2f} dB")

# %%
tiles = {"noisy": noisy, **restored, "section": lower}
figure, axes = plt.subplots(2, 3, figsize=(9, 4.7), layout="constrained")
for ax, (name, image) in zip(axes.flat, tiles.items(), strict=True):
    ax.imshow(image[30:150, 100:280].clip(0, 1))
    ax.set_title(name if name == "section" else f"{name}, {psnr(image):.1f} dB")
    ax.set_axis_off()
plt.show()
